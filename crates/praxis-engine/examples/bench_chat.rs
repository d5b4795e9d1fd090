//! Times a chat model: `bench_chat MODEL.gguf [PROMPT_TOKENS] [NEW_TOKENS]` prints one JSON line.

use std::time::Instant;

use futures::StreamExt;
use praxis_core::{ChatChunk, ChatModel, ChatRequest, Message, Sampling};
use praxis_engine::{ChatEngine, ChatOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let path = args.get(1).ok_or("usage: bench_chat MODEL.gguf [PROMPT_TOKENS] [NEW_TOKENS]")?;
    let want: usize = args.get(2).map_or(Ok(512), |n| n.parse())?;
    let new: u32 = args.get(3).map_or(Ok(64), |n| n.parse())?;
    let started = Instant::now();
    let engine = ChatEngine::load(path.as_ref(), &ChatOptions::default())?;
    let load = started.elapsed();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = |seed: usize| {
        let engine = engine.clone();
        async move {
            let mut text = format!("Run {seed}.");
            while engine.count_tokens(&[Message::user(&text)])? < want {
                text.push_str(" The library opens at nine and closes at six.");
            }
            let request = ChatRequest {
                messages: vec![Message::user(text)],
                sampling: Sampling {
                    temperature: Some(0.0),
                    max_tokens: Some(new),
                    ..Sampling::default()
                },
                ..ChatRequest::default()
            };
            let started = Instant::now();
            let mut stream = engine.chat(request, Default::default()).await?;
            let (mut first, mut tokens) = (None, (0, 0));
            while let Some(chunk) = stream.next().await {
                first.get_or_insert_with(|| started.elapsed());
                if let ChatChunk::Done { usage, .. } = chunk? {
                    tokens = (usage.input_tokens - usage.cached_tokens, usage.output_tokens);
                }
            }
            Ok::<_, praxis_core::ModelError>((first.unwrap_or_default(), started.elapsed(), tokens))
        }
    };
    runtime.block_on(run(0))?;
    let (first, total, (read, written)) = runtime.block_on(run(1))?;
    let line = serde_json::json!({
        "model": path,
        "load_s": load.as_secs_f64(),
        "prefill_tokens": read,
        "prefill_tok_s": read as f64 / first.as_secs_f64(),
        "decode_tokens": written,
        "decode_tok_s": (written - 1) as f64 / (total - first).as_secs_f64(),
    });
    #[expect(clippy::print_stdout, reason = "the line is the result")]
    {
        println!("{line}");
    }
    Ok(())
}
