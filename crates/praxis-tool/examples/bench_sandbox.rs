//! Measures the code interpreter: how long a sandbox takes to be there, a call that has one of its own, and a call of a
//! session; and how many calls at once take how long. `bench_sandbox [RUNS [AT_ONCE [namespaces|landlock]]]`; one line
//! of JSON each, in milliseconds. Left out: what the code does, which is next to nothing.

#[path = "../tests/support/nobody.rs"]
mod nobody;

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::nobody::Functions;

fn main() -> Result<(), Box<dyn Error>> {
    praxis_tool::sandbox::enter();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().map_or(Ok(200), |runs| runs.parse())?;
    let at_once: usize = arguments.next().map_or(Ok(100), |count| count.parse())?;
    let isolation = arguments.next().unwrap_or_else(|| "namespaces".to_owned());
    let root = tempfile::tempdir()?;
    std::fs::create_dir(root.path().join("tools"))?;
    let file =
        format!("isolation = \"{isolation}\"\n[limits]\nat_once = {at_once}\nwaiting = 10000\n");
    std::fs::write(root.path().join("tools/code.python.toml"), file)?;
    let functions = Functions::load(root.path()).await;
    if let Some(why) = functions.said.first() {
        return Err(why.clone().into());
    }
    let call = async |input: Value| -> Result<(Duration, Value), Box<dyn Error>> {
        let started = Instant::now();
        let ran = functions.call("code/run", input).await?;
        Ok((started.elapsed(), ran))
    };
    // The first reads the interpreter from the disk.
    call(json!({ "code": "0" })).await?;
    let mut alone = Vec::with_capacity(runs);
    for _ in 0..runs {
        alone.push(call(json!({ "code": "6 * 7" })).await?.0);
    }
    let (_, opened) = call(json!({ "code": "x = 6", "session": "new" })).await?;
    let mut warm = Vec::with_capacity(runs);
    for _ in 0..runs {
        let input = json!({ "code": "x * 7", "session": opened["session"] });
        warm.push(call(input).await?.0);
    }
    let started = Instant::now();
    let many = (0..at_once).map(|_| call(json!({ "code": "6 * 7" })));
    let mut together = Vec::with_capacity(at_once);
    for one in futures::future::join_all(many).await {
        together.push(one?.0);
    }
    let whole = started.elapsed();
    say("a call with a sandbox of its own", &mut alone)?;
    say("a call of a session", &mut warm)?;
    say(
        "a call with a sandbox of its own, all at once",
        &mut together,
    )?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{}",
        json!({ "at_once": at_once, "all_ms": milliseconds(whole) })
    )?;
    Ok(())
}

/// Writes a line of what was measured.
fn say(what: &str, times: &mut [Duration]) -> Result<(), Box<dyn Error>> {
    times.sort();
    let at = |share: usize| {
        let last = times.len().saturating_sub(1);
        times.get(last * share / 100).copied().map(milliseconds)
    };
    let line = json!({ "what": what, "runs": times.len(), "p50_ms": at(50), "p99_ms": at(99) });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}
