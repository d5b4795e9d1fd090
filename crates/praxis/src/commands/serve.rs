//! `praxis serve`: the console and the API, at a port and at a socket.

mod listen;
pub(super) mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use praxis_api::access::Holder;
use praxis_api::{Access, ApiState, AppInfo, Batches, Cors, ModelInfo, Reach, Responses};
use praxis_core::function::now_ms;
use praxis_core::{Caller, Clearance, Ledger, Problem, Secret, now_s};
use praxis_gateway::KeyReference;
use praxis_store::{ApiKey, StoreLedger};
use tokio_util::sync::CancellationToken;

use self::listen::Places;
use super::watch::{self, Voice};
use crate::app::App;
use crate::cli::{Global, Serve};
use crate::config::ServerConfig;
use crate::ui::{self, BOLD, CYAN, DIM, Failure};

/// How often it is noted when keys were last used.
const NOTE_USES: Duration = Duration::from_secs(60);

/// How often the samples of histograms are counted; until then each is kept.
const COUNT_SAMPLES: Duration = Duration::from_secs(5);

/// How long the reading of files may take to stop.
const LAST_FILE: Duration = Duration::from_secs(10);

/// How long responses in the background may take to stop.
const LAST_RESPONSES: Duration = Duration::from_secs(15);

/// Upper bounds of the latency histograms, in seconds.
const BUCKETS: &[f64] = &[
    0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// A port or a socket that is taken, a certificate that cannot be used, or a key that is not set.
pub async fn run(app: &App, args: Serve, global: &Global) -> Result<(), Failure> {
    let config = &app.project.config.server;
    let access = access(app, config).await?;
    let cors = cors(config, access.is_some())?;
    let places = listen::open(app, &args, access.is_some()).await?;
    let state = state(app, access.clone(), cors)?;
    // What a killed server had begun has failed, and is noted before the first request if it was killed a while ago.
    let unfinished = state.responses.recover().await;
    unfinished.map_err(|e| Failure::message(format!("the responses cannot be read: {e}")))?;
    let ledger = ledger(app).await?;
    let pages = praxis_console::router(state.clone());
    let router = praxis_api::hardened(&state, praxis_api::router(state.clone()).merge(pages));
    announce(app, &places, global);
    let cancel = CancellationToken::new();
    let watching = args.watch.then(|| {
        let watched = watch::watched(app, &super::ingest::selected(app, None)?);
        // On a task of its own: answers do not wait for an ingest.
        let watching = watch::run(watched, Voice::Log, cancel.clone());
        Ok::<_, Failure>(tokio::spawn(async move {
            if let Err(error) = watching.await {
                ui::warn(format!("the knowledge bases are not watched: {error}"));
            }
        }))
    });
    let watching = watching.transpose()?;
    // Files of vector stores are read beside the answers, too.
    let (vector_stores, stopped) = (Arc::clone(&app.vector_stores), cancel.clone());
    let reading = tokio::spawn(async move { vector_stores.run(stopped).await });
    // Requests of batches, and those that another server left, go through the API alone, with all that every request goes
    // through.
    let alone = praxis_api::hardened(&state, praxis_api::router(state.clone()));
    let (responses, makers) = (Arc::clone(&state.responses), Arc::clone(&state.batches));
    let (again, stopped) = (alone.clone(), cancel.clone());
    let responding = tokio::spawn(async move { responses.run(&makers, again, stopped).await });
    let (batches, stopped) = (Arc::clone(&state.batches), cancel.clone());
    let batching = tokio::spawn(async move { batches.run(alone, stopped).await });
    let noting = access.map(|access| tokio::spawn(note_uses(access, cancel.clone())));
    tokio::spawn(count_samples(state.metrics.clone(), cancel.clone()));
    let served = praxis_api::serve(places.listening, router, stop()).await;
    cancel.cancel();
    let _ = batching.await;
    let _ = tokio::time::timeout(LAST_RESPONSES, responding).await;
    if let Some(noting) = noting {
        let _ = noting.await;
    }
    if let Some(watching) = watching {
        let _ = watching.await;
    }
    // What is not done goes on at the next start.
    let _ = tokio::time::timeout(LAST_FILE, reading).await;
    ledger.close().await;
    served.map_err(|e| Failure::message(format!("the server failed: {e}")))
}

/// Who may ask; none where there never was a key, or the configuration says that there are none.
async fn access(app: &App, config: &ServerConfig) -> Result<Option<Arc<Access>>, Failure> {
    let keys = keys(config)?;
    let stored = app.store.api_keys().await;
    let stored = stored.map_err(|e| Failure::message(format!("the keys cannot be read: {e}")))?;
    let valid = valid_names(&stored, now_ms());
    match wanted(!keys.is_empty(), &stored, &valid, config.open)? {
        Door::Open => {
            if !config.limits.is_empty() {
                ui::warn(
                    "`limits` under [server] hold for keys, and there is none: nothing is limited",
                );
            }
            return Ok(None);
        }
        Door::Shut => ui::warn(
            "all keys are revoked or have expired: everybody is refused until `praxis keys create NAME` makes one or \
             `praxis keys update NAME --expires 30d` lets one open again. To go without keys, write `open = true` under \
             [server] in praxis.toml",
        ),
        Door::Keyed => {}
    }
    let access = Access::new(keys)
        .with_store(app.store.clone())
        .with_limits(config.limits.clone());
    Ok(Some(Arc::new(access)))
}

/// Whether callers need a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// They need none.
    Open,
    /// They need one, and there is one.
    Keyed,
    /// They need one, and there is none that opens anything.
    Shut,
}

/// The names of the keys that open something.
fn valid_names(stored: &[ApiKey], now_ms: i64) -> Vec<&str> {
    let valid = stored.iter().filter(|key| key.is_valid(now_ms));
    valid.map(|key| key.name.as_str()).collect()
}

/// Whether callers need a key. That the last one expires or is revoked must not open a server that had keys: it does not
/// take a person to expire, and a restart comes by itself.
///
/// # Errors
/// Where the configuration says that there are no keys, and the store has some that open something: their limits and
/// what they may read would hold for nobody.
fn wanted(
    is_configured: bool,
    stored: &[ApiKey],
    valid: &[&str],
    says_open: bool,
) -> Result<Door, Problem> {
    if says_open {
        if valid.is_empty() {
            return Ok(Door::Open);
        }
        let names = valid.join("`, `");
        return Err(problem(
            "server.open",
            format!(
                "`open = true` under [server] in praxis.toml says that there are no keys, and the store has `{names}`"
            ),
            "leave out `open`, or end those keys with `praxis keys revoke NAME`",
        ));
    }
    Ok(
        match (is_configured || !valid.is_empty(), stored.is_empty()) {
            (true, _) => Door::Keyed,
            (false, true) => Door::Open,
            (false, false) => Door::Shut,
        },
    )
}

/// Begins to count what callers use.
async fn ledger(app: &App) -> Result<Arc<StoreLedger>, Failure> {
    let clock = Arc::new(|| now_ms().saturating_mul(1000));
    let ledger = app.store.ledger(clock).await;
    let ledger =
        ledger.map_err(|e| Failure::message(format!("what callers use cannot be counted: {e}")))?;
    let ledger = Arc::new(ledger);
    app.gateway
        .counts_in(Arc::clone(&ledger) as Arc<dyn Ledger>);
    Ok(ledger)
}

/// Keeps histograms small, also where nobody asks for the metrics.
async fn count_samples(metrics: PrometheusHandle, stop: CancellationToken) {
    let wait = || tokio::time::timeout(COUNT_SAMPLES, stop.cancelled());
    while wait().await.is_err() {
        metrics.run_upkeep();
    }
}

/// Notes now and then, and at the end, when keys were last used.
async fn note_uses(access: Arc<Access>, stop: CancellationToken) {
    loop {
        let stopped = tokio::time::timeout(NOTE_USES, stop.cancelled()).await;
        if let Err(error) = access.note_uses().await {
            ui::warn(format!("when keys were used cannot be noted: {error}"));
        }
        if stopped.is_ok() {
            return;
        }
    }
}

/// The pages of other sites that may call the API.
fn cors(config: &ServerConfig, has_keys: bool) -> Result<Cors, Problem> {
    let place = "server.cors_origins";
    let cors = Cors::new(&config.cors_origins);
    let cors = cors.map_err(|e| problem(place, e.to_string(), e.help))?;
    if cors.is_for_any() && !has_keys {
        return Err(problem(
            place,
            "`cors_origins = [\"*\"]` lets every page that somebody here visits ask everything, and no key is set",
            "name the origins of your pages, or make a key with `praxis keys create NAME`",
        ));
    }
    Ok(cors)
}

/// What is wrong with a key of praxis.toml, and what to do.
fn problem(path: &str, message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem {
        path: path.to_owned(),
        message: message.into(),
        help: Some(help.into()),
    }
}

fn state(app: &App, access: Option<Arc<Access>>, cors: Cors) -> Result<ApiState, Failure> {
    let metrics = PrometheusBuilder::new()
        .set_buckets(BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| Failure::message(format!("cannot start the metrics: {e}")))?;
    let info = &app.project.config.app;
    let (models, embedders) = (Arc::clone(&app.gateway), Arc::clone(&app.gateway));
    let transcribers = Arc::clone(&app.gateway);
    let (files, owners) = (Arc::clone(&app.files), access.clone());
    let batches = Batches::new(app.store.clone(), files, owners, now_s);
    Ok(ApiState::from(Reach {
        app: Arc::new(AppInfo {
            title: info.title.clone().unwrap_or_else(|| app.project.name()),
            description: info.description.clone().unwrap_or_default(),
            suggestions: app.project.config.console.suggestions.clone(),
        }),
        chat: app.library.guarded(app.gateway.clone()),
        embedders: Arc::new(move |name, cx| embedders.embedder_for(name, cx)),
        transcribers: Arc::new(move |name, cx| transcribers.transcriber_for(name, cx)),
        models: Arc::new(move || {
            models
                .models()
                .into_iter()
                .map(|m| ModelInfo {
                    id: m.name,
                    owned_by: m.provider.to_string(),
                    task: m.task.to_string(),
                    available: m.available,
                    declared: m.declared,
                })
                .collect()
        }),
        library: Arc::clone(&app.library),
        files: Arc::clone(&app.files),
        vector_stores: Arc::clone(&app.vector_stores),
        responses: Arc::new(Responses::new(app.store.clone(), now_s)),
        batches: Arc::new(batches),
        knowledge: Arc::clone(&app.knowledge),
        store: app.store.clone(),
        sink: app.sink(),
        access,
        cors,
        metrics,
    }))
}

/// The keys that the server takes, each with who has it.
fn keys(config: &ServerConfig) -> Result<Vec<(Secret, Holder)>, Problem> {
    let mut keys = Vec::new();
    if let Some(reference) = &config.api_key {
        keys.push((key("server.api_key", reference)?, Caller::full().into()));
    }
    for (at, given) in config.keys.iter().enumerate() {
        let place = place_of_key(at);
        let secret = key(&place, &given.key)?;
        if keys.iter().any(|(other, _)| *other == secret) {
            let message = format!("the key `{}` is that of another caller too", given.name);
            return Err(problem(
                &place,
                message,
                "give each caller a key of its own",
            ));
        }
        let caller = Caller {
            name: Some(given.name.clone()),
            clearance: Clearance::of(given.labels.iter().cloned()),
        };
        keys.push((secret, Holder::configured(caller, given.limits.clone())));
    }
    Ok(keys)
}

/// Where praxis.toml says one of `[[server.keys]]`.
fn place_of_key(at: usize) -> String {
    format!("server.keys.{at}.key")
}

/// The secret behind `env:NAME`, which `place` of praxis.toml says.
fn key(place: &str, reference: &str) -> Result<Secret, Problem> {
    let reference = KeyReference::new(reference);
    let name = reference.variable().ok_or_else(|| {
        problem(
            place,
            format!("`{place}` must name an environment variable"),
            "write `\"env:PRAXIS_API_KEY\"`: keys do not belong into files",
        )
    })?;
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        _ => Err(problem(
            place,
            format!("the environment variable {name} is not set"),
            format!("export {name}=... before `praxis serve`"),
        )),
    }
}

fn announce(app: &App, places: &Places, global: &Global) {
    let socket = places.socket.as_ref().map(|path| path.to_string_lossy());
    if global.json {
        let mut said = serde_json::Map::new();
        if let Some(url) = &places.url {
            said.insert("url".to_owned(), url.as_str().into());
        }
        if let Some(socket) = &socket {
            said.insert("socket".to_owned(), socket.to_string().into());
        }
        ui::out_json(&said.into());
        return;
    }
    let name = app.project.name();
    if let Some(url) = &places.url {
        ui::out(format!(
            "{} is at {}",
            ui::paint(BOLD, &name),
            ui::paint(CYAN, url)
        ));
    }
    if let Some(socket) = &socket {
        ui::out(format!(
            "{} is at the socket {}",
            ui::paint(BOLD, &name),
            ui::paint(CYAN, socket)
        ));
    }
    let url = places.url.as_deref().unwrap_or_default();
    ui::note(ui::paint(
        DIM,
        format_args!("OpenAI API at {url}/v1, Ctrl-C stops"),
    ));
}

/// Resolves with Ctrl-C or SIGTERM.
async fn stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        match terminate {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => {
                let _ = interrupt.await;
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = interrupt.await;
    }
    ui::note("Stopping: running answers may end.");
}
