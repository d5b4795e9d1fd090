//! Pulls models by name into a folder.
fn main() {
    let rt = tokio::runtime::Runtime::new().unwrap();
    rt.block_on(async {
        let catalogue = praxis_hub::Catalogue::builtin().unwrap();
        let cache = praxis_hub::Cache::open(None).unwrap();
        for name in std::env::args().skip(1) {
            let t = std::time::Instant::now();
            let entry = catalogue.get(&name).unwrap();
            let last = std::sync::Mutex::new(std::time::Instant::now());
            let r = cache.pull(entry, &Default::default(), &|p| {
                if matches!(p, praxis_hub::Progress::Note(_)) || last.lock().unwrap().elapsed().as_secs() >= 2 { eprintln!("{p:?}"); *last.lock().unwrap() = std::time::Instant::now(); }
            }, &tokio_util::sync::CancellationToken::new()).await;
            println!("{name}: {:?} in {:?}; {:?}", r.map(|l| l.path().to_owned()).map_err(|e| e.to_string()), t.elapsed(), cache.info(entry));
        }
    });
}
