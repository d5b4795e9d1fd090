//! Temporary.
fn main() {
    let args = std::env::args().collect::<Vec<_>>();
    praxis_engine::convert::e5_to_gguf(args[1].as_ref(), args[2].as_ref()).unwrap();
}
