//! The gateway: names to models, routes, and answers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::chat::collect;
use praxis_core::speech::Transcriber;
use praxis_core::suggest::nearest;
use praxis_core::{
    CallContext, ChatGateway, ChatRequest, ChatStream, Embedder, Ledger, Message, ModelError,
    Priority, Reranker, TokenCount,
};
use praxis_hub::{Cache, Catalogue, Task};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::account::{self, Account, Accounted};
use crate::asking::{ChatTarget, Plan, Runner, begin};
use crate::builder::{Builder, Remote};
use crate::cache::{self, Answers, Asked, Looked, Storing};
use crate::charged::Charged;
use crate::claims::Bill;
use crate::config::{GatewayConfig, Provider};
use crate::embedder::Metered;
use crate::error::GatewayError;
use crate::local::Place;
use crate::price::Price;
use crate::tokens;
use crate::transcriber::Counted;

/// What OpenAI calls its Whisper model: the default speech model here.
const WHISPER: &str = "whisper-1";

/// Requests to shadow models at a time; beyond them requests have no shadow.
const SHADOWS: usize = 16;
/// The longest that a shadow's answer may take.
const SHADOW_TIMEOUT: Duration = Duration::from_secs(600);

/// All models of an application behind their names. Building it costs nothing: local models load
/// when first used.
pub struct Gateway {
    config: GatewayConfig,
    cache: Cache,
    catalogue: Catalogue,
    models: BTreeMap<String, Model>,
    shadows: Arc<Semaphore>,
    ledger: OnceLock<Arc<dyn Ledger>>,
    answers: Arc<Answers>,
}

/// A model behind a name.
pub(crate) enum Model {
    Chat(Arc<ChatTarget>),
    Embedder {
        remote: Option<Remote>,
        embedder: Arc<dyn Metered>,
        local: Option<Place>,
        /// What it costs; `None`: nobody knows.
        price: Option<Price>,
    },
    Reranker {
        remote: Option<Remote>,
        reranker: Arc<dyn Reranker>,
        local: Option<Place>,
    },
    Transcriber {
        /// `None` at an endpoint: those are not called.
        local: Option<(Place, Arc<dyn Transcriber>)>,
        /// What it costs.
        price: Price,
    },
}

/// A model as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// Its name in requests.
    pub name: String,
    /// Who runs it.
    pub provider: Provider,
    /// What it does.
    pub task: Task,
    /// Whether it can be used now.
    pub available: bool,
    /// Why not, and the fix.
    pub reason: Option<String>,
    /// Tokens of prompt and answer together, where known.
    pub context: Option<usize>,
    /// Whether the application declares it or has it as a default.
    pub declared: bool,
}

impl Gateway {
    /// A gateway over the configured models and the catalogue; keys come from the environment.
    ///
    /// # Errors
    /// [`GatewayError::Config`] with all that [`GatewayConfig::problems`] finds.
    pub fn new(config: GatewayConfig, cache: Cache) -> Result<Self, GatewayError> {
        Self::with_env(config, cache, &|name| std::env::var(name).ok())
    }

    /// The same with an environment of the caller's making.
    ///
    /// # Errors
    /// As [`Gateway::new`].
    pub fn with_env(
        config: GatewayConfig,
        cache: Cache,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, GatewayError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(GatewayError::Config { problems });
        }
        account::describe_metrics();
        cache::describe_metrics();
        let catalogue = Catalogue::builtin()?;
        let mut builder = Builder::new(&catalogue, &cache, env, config.prices.as_ref())?;
        let mut models = BTreeMap::new();
        for entry in catalogue.entries() {
            let place = Place::Catalogue(Box::new(entry.clone()));
            models.insert(
                entry.name.clone(),
                builder.local(&entry.name, place, entry.task, None),
            );
        }
        for (name, model) in &config.models {
            models.insert(name.clone(), builder.declared(name, model)?);
        }
        Ok(Self {
            answers: Answers::new(config.cache),
            config,
            cache,
            catalogue,
            models,
            shadows: Arc::new(Semaphore::new(SHADOWS)),
            ledger: OnceLock::new(),
        })
    }

    /// From now on what callers use is counted in this ledger, and they are held to their limits; the first counts.
    pub fn counts_in(&self, ledger: Arc<dyn Ledger>) {
        let _ = self.ledger.set(ledger);
    }

    /// The model of that name.
    fn model(&self, name: &str) -> Result<&Model, ModelError> {
        self.models.get(name).ok_or_else(|| {
            let names = self.models.keys().chain(self.config.routes.keys());
            let near = nearest(name, names.map(String::as_str));
            let hint = match near {
                Some(near) => format!("; did you mean `{near}`?"),
                None => "; `praxis models list` shows all".to_owned(),
            };
            ModelError::NotFound(format!("no model is called `{name}`{hint}"))
        })
    }

    /// The name that a request means.
    fn meant<'a>(&'a self, name: &'a str) -> &'a str {
        match name {
            "" => self.config.chat_default(),
            name => name,
        }
    }

    fn chat_target(&self, name: &str) -> Result<&Arc<ChatTarget>, ModelError> {
        match self.model(name)? {
            Model::Chat(target) => Ok(target),
            other => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a model for {}, not chat",
                other.task()
            ))),
        }
    }

    /// The chat models that a name stands for, as they are listed.
    fn targets(&self, name: &str) -> Result<Vec<&Arc<ChatTarget>>, ModelError> {
        let name = self.meant(name);
        match self.config.routes.get(name) {
            Some(route) => {
                let listed = route.targets.iter();
                listed.map(|t| self.chat_target(&t.model)).collect()
            }
            None => Ok(vec![self.chat_target(name)?]),
        }
    }

    /// The embedder of that name, or the application's default. Loading waits for the first use.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] or [`ModelError::InvalidRequest`] for a name that is none.
    pub fn embedder(&self, name: Option<&str>) -> Result<Arc<dyn Embedder>, ModelError> {
        let name = match name {
            None | Some("") => self.config.embedding_default(),
            Some(name) => name,
        };
        let (embedder, _) = self.metered(name)?;
        Ok(embedder)
    }

    /// The embedder of that name, and what it costs.
    fn metered(&self, name: &str) -> Result<(Arc<dyn Metered>, Option<Price>), ModelError> {
        match self.model(name)? {
            Model::Embedder {
                embedder, price, ..
            } => Ok((Arc::clone(embedder), *price)),
            other => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a model for {}, not embedding",
                other.task()
            ))),
        }
    }

    /// The same for a call of a caller, whose use is traced, counted and held to limits.
    ///
    /// # Errors
    /// As [`Gateway::embedder`].
    pub fn embedder_for(
        &self,
        name: Option<&str>,
        cx: &CallContext,
    ) -> Result<Arc<dyn Embedder>, ModelError> {
        let name = name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| self.config.embedding_default());
        let (embedder, price) = self.metered(name)?;
        Ok(Arc::new(Charged {
            embedder,
            name: name.to_owned(),
            price,
            ledger: self.ledger.get().cloned(),
            cx: cx.clone(),
        }))
    }

    /// The speech model of that name, or the default one, for a call of a caller, whose use is traced, counted and held to
    /// limits of requests and money. Loading waits for the first use.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] or [`ModelError::InvalidRequest`] for a name that is none.
    pub fn transcriber_for(
        &self,
        name: Option<&str>,
        cx: &CallContext,
    ) -> Result<Arc<dyn Transcriber>, ModelError> {
        let name = match name {
            None | Some("") => crate::DEFAULT_TRANSCRIBER,
            Some(WHISPER) if !self.models.contains_key(WHISPER) => crate::DEFAULT_TRANSCRIBER,
            Some(name) => name,
        };
        match self.model(name)? {
            Model::Transcriber {
                local: Some((_, transcriber)),
                price,
            } => Ok(Arc::new(Counted {
                transcriber: Arc::clone(transcriber),
                name: name.to_owned(),
                price: *price,
                ledger: self.ledger.get().cloned(),
                cx: cx.clone(),
            })),
            Model::Transcriber { local: None, .. } => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a speech model at an endpoint, which is not called; use `{}`",
                crate::DEFAULT_TRANSCRIBER
            ))),
            other => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a model for {}, not transcription",
                other.task()
            ))),
        }
    }

    /// The cross-encoder of that name; `None` for a chat model, which can be asked to rerank. Loading waits
    /// for the first use.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] or [`ModelError::InvalidRequest`] for a name that is neither.
    pub fn reranker(&self, name: &str) -> Result<Option<Arc<dyn Reranker>>, ModelError> {
        match self.model(name)? {
            Model::Reranker { reranker, .. } => Ok(Some(Arc::clone(reranker))),
            Model::Chat(_) => Ok(None),
            other => Err(ModelError::InvalidRequest(format!(
                "`{name}` is a model for {}, not reranking",
                other.task()
            ))),
        }
    }

    /// Loads a model before it is asked, or all of a route; a remote one has nothing to load.
    ///
    /// # Errors
    /// [`ModelError::NotPulled`] and whatever else stands in the way of loading.
    pub async fn preload(&self, name: &str) -> Result<(), ModelError> {
        if self.config.routes.contains_key(name) {
            for target in self.targets(name)? {
                target.load().await?;
            }
            return Ok(());
        }
        match self.model(name)? {
            Model::Chat(target) => target.load().await,
            Model::Embedder {
                embedder,
                local: Some(_),
                ..
            } => embedder.dimension().await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// All models, declared ones, routes and the catalogue's, by name.
    pub fn models(&self) -> Vec<ModelInfo> {
        let models = self.models.iter();
        let models = models.map(|(name, model)| self.info(name, model));
        let routes = self.config.routes.keys().map(|name| self.route_info(name));
        let mut all: Vec<ModelInfo> = models.chain(routes).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The models of the catalogue that the application uses and this machine lacks.
    pub fn missing(&self) -> Vec<String> {
        let absent = |name: &String| {
            self.catalogue
                .find(name)
                .is_some_and(|e| self.cache.resolve(e).is_none())
        };
        self.config
            .local_models()
            .into_iter()
            .filter(absent)
            .collect()
    }

    /// The configuration it was built from.
    pub fn config(&self) -> &GatewayConfig {
        &self.config
    }

    fn info(&self, name: &str, model: &Model) -> ModelInfo {
        let declared = self.config.models.get(name);
        let (provider, reason) = match model {
            Model::Chat(target) => match &target.runner {
                Runner::Local(local) => {
                    let absent = local.absent().map(|e| e.to_string());
                    (Provider::LOCAL, absent)
                }
                Runner::Remote(endpoint) => (
                    declared.map_or(Provider::OPENAI, |d| d.provider),
                    endpoint.unavailable(),
                ),
            },
            Model::Embedder {
                local: Some(place), ..
            }
            | Model::Reranker {
                local: Some(place), ..
            } => (Provider::LOCAL, self.absent(place)),
            Model::Embedder { remote, .. } | Model::Reranker { remote, .. } => (
                remote.as_ref().map_or(Provider::OPENAI, |r| r.provider),
                remote.as_ref().and_then(|r| r.unavailable.clone()),
            ),
            Model::Transcriber {
                local: Some((place, _)),
                ..
            } => (Provider::LOCAL, self.absent(place)),
            Model::Transcriber { local: None, .. } => (
                declared.map_or(Provider::OPENAI, |d| d.provider),
                Some("speech models of endpoints are not called".to_owned()),
            ),
        };
        let catalogued = match declared {
            Some(config) if !config.provider.is_local() => None,
            Some(config) => self.catalogue.find(&config.model),
            None => self.catalogue.find(name),
        };
        ModelInfo {
            name: name.to_owned(),
            provider,
            task: model.task(),
            available: reason.is_none(),
            reason,
            context: declared
                .and_then(|d| d.context_length)
                .or(catalogued.map(|e| e.context)),
            declared: declared.is_some()
                || name == self.config.chat_default()
                || name == self.config.embedding_default(),
        }
    }

    fn absent(&self, place: &Place) -> Option<String> {
        place.path(&self.cache).err().map(|e| e.to_string())
    }

    fn route_info(&self, name: &str) -> ModelInfo {
        let infos: Vec<ModelInfo> = self
            .targets(name)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|target| Some(self.info(&target.name, self.models.get(&target.name)?)))
            .collect();
        let reason = match infos.iter().any(|info| info.available) {
            true => None,
            false => infos.first().and_then(|info| info.reason.clone()),
        };
        ModelInfo {
            name: name.to_owned(),
            provider: Provider::ROUTE,
            task: Task::Chat,
            available: infos.iter().any(|info| info.available),
            reason,
            context: infos.iter().filter_map(|info| info.context).min(),
            declared: true,
        }
    }

    /// Whom to ask: the models of a route, each before its fallbacks and theirs.
    fn plan(&self, name: &str) -> Result<Plan, ModelError> {
        let name = self.meant(name);
        let route = self.config.routes.get(name);
        let mut waiting = match route {
            Some(route) => route.drawn(rand::random::<f64>),
            None => vec![name],
        };
        waiting.reverse();
        let mut targets: Vec<Arc<ChatTarget>> = Vec::new();
        while let Some(name) = waiting.pop() {
            let target = self.chat_target(name)?;
            if targets.iter().all(|t| t.name != target.name) {
                targets.push(Arc::clone(target));
                waiting.extend(target.fallback.iter().rev().map(String::as_str));
            }
        }
        if let Some(route) = route.filter(|route| !route.regions.is_empty()) {
            targets.retain(|target| {
                let region = self.config.models.get(&target.name);
                let region = region.and_then(|model| model.region.as_ref());
                region.is_some_and(|region| route.regions.contains(region))
            });
        }
        if targets.is_empty() {
            return Err(ModelError::Internal(format!(
                "the route `{name}` has no model"
            )));
        }
        Ok(Plan {
            targets,
            hedge_after: route.and_then(|route| route.hedge_after).map(|p| p.0),
        })
    }

    /// What the cache has for a request to these models.
    fn kept(&self, plan: &Plan, request: &ChatRequest, cx: &CallContext) -> Looked {
        let Some(first) = plan.targets.first() else {
            return Looked::Nothing;
        };
        let route = self.config.routes.get(self.meant(&request.model));
        let model = self.config.models.get(&first.name);
        let of_model = model.and_then(|model| model.cache);
        let Some(policy) = route.and_then(|route| route.cache).or(of_model) else {
            return Looked::Nothing;
        };
        let (asked, now) = (Asked::of(first), Instant::now());
        self.answers.look(policy, &asked, request, cx.caller(), now)
    }

    /// Sends a request to the shadow of its route too, now and then. Nobody waits for the answer: it is traced, and
    /// lost.
    fn shadow(&self, request: &ChatRequest, cx: &CallContext) {
        let name = self.meant(&request.model);
        let Some(route) = self.config.routes.get(name) else {
            return;
        };
        let shadow = route.shadow.as_ref();
        let Some(shadow) = shadow.filter(|shadow| self.config.may_shadow(route, &shadow.model))
        else {
            return;
        };
        let Ok(target) = self.chat_target(&shadow.model) else {
            return;
        };
        if rand::random::<f64>() >= shadow.share {
            return;
        }
        let room = Arc::clone(&self.shadows).try_acquire_owned();
        let outcome = if room.is_ok() { "sent" } else { "no_room" };
        metrics::counter!("praxis_model_shadows_total", "model" => target.name.clone(), "outcome" => outcome)
            .increment(1);
        let Ok(room) = room else { return };
        let plan = Plan {
            targets: vec![Arc::clone(target)],
            hedge_after: None,
        };
        let request = Arc::new(ChatRequest {
            priority: Priority::Batch,
            caller: None,
            ..request.clone()
        });
        // Its caller may be gone long before it has its answer.
        let cx = cx.quiet().with_cancel(CancellationToken::new());
        let mut account = Account::open(&shadow.model, &request, &cx);
        account.note("shadow_of", name);
        // Who operates the server pays for it: it counts among all calls, and for no caller.
        if let Some(ledger) = self.ledger.get() {
            account.owes(Bill::of_nobody(ledger));
        }
        tokio::spawn(async move {
            let _room = room;
            let answer = async {
                match answer(&plan, &request, account, None, CancellationToken::new()).await {
                    Ok(answer) => drop(collect(answer).await),
                    Err(error) => tracing::debug!(%error, "a shadow failed"),
                }
            };
            let _ = tokio::time::timeout(SHADOW_TIMEOUT, answer).await;
        });
    }
}

/// An answer of one of the models of a plan.
async fn answer(
    plan: &Plan,
    request: &ChatRequest,
    mut account: Account,
    storing: Option<Storing>,
    stop: CancellationToken,
) -> Result<ChatStream, ModelError> {
    let guard = stop.clone().drop_guard();
    let begun = tokio::select! {
        // A caller that is gone already must not cost a request.
        biased;
        () = stop.cancelled() => Err(ModelError::Cancelled),
        begun = begin(plan, request, &mut account, &stop) => begun,
    };
    match begun {
        Ok(first) => {
            let storing = storing.and_then(|s| s.of(account.model(), &first.left_out));
            if !first.left_out.is_empty() {
                account.note("left_out", first.left_out);
            }
            if first.hedged {
                account.note("hedged", true);
            }
            let answer = Accounted::new(first.piece, first.rest, account, guard);
            Ok(answer.storing(storing).boxed())
        }
        Err(error) => {
            account.fail(&error);
            Err(error)
        }
    }
}

#[async_trait]
impl ChatGateway for Gateway {
    async fn chat(
        &self,
        mut request: ChatRequest,
        cx: &CallContext,
    ) -> Result<ChatStream, ModelError> {
        request.priority = request.priority.max(cx.priority());
        request.caller.clone_from(&cx.payer().key);
        let mut request = Arc::new(request);
        let plan = self.plan(&request.model)?;
        let mut account = Account::open(self.meant(&request.model), &request, cx);
        if let Some(ledger) = self.ledger.get() {
            match Bill::open(ledger, &plan, &mut request, cx).await {
                Ok(bill) => account.owes(bill),
                Err(error) => {
                    account.fail(&error);
                    return Err(error);
                }
            }
        }
        let storing = match self.kept(&plan, &request, cx) {
            Looked::Hit(kept) => {
                account.was_kept(kept.model());
                let (first, rest) = kept.again();
                let stop = cx.cancel().child_token().drop_guard();
                return Ok(Accounted::new(first, rest, account, stop).boxed());
            }
            Looked::Miss(storing) => Some(storing),
            Looked::Nothing => None,
        };
        self.shadow(&request, cx);
        let stop = cx.cancel().child_token();
        answer(&plan, &request, account, storing, stop).await
    }

    fn reads(&self, model: &str, media_type: &str) -> bool {
        let takes = |target: &Arc<ChatTarget>| match &target.runner {
            Runner::Local(_) => false,
            Runner::Remote(endpoint) => endpoint.dialect.reads(media_type),
        };
        // Any of a route may answer.
        let targets = self.targets(model);
        targets.is_ok_and(|targets| targets.into_iter().all(takes))
    }

    fn window(&self, model: &str) -> Option<usize> {
        let windows = self.targets(model).ok()?.into_iter().map(|target| {
            let declared = self.config.models.get(&target.name);
            match &target.runner {
                Runner::Local(local) => Some(local.window()),
                Runner::Remote(_) => declared?.context_length,
            }
        });
        // Any of a route may answer.
        windows.flatten().min()
    }

    async fn count_tokens(
        &self,
        model: &str,
        messages: &[Message],
    ) -> Result<TokenCount, ModelError> {
        let targets = self.targets(model)?;
        let Some(target) = targets.first() else {
            return Ok(TokenCount::estimate(messages));
        };
        if let Runner::Local(local) = &target.runner {
            let (engine, messages) = (local.engine().await?, messages.to_vec());
            let count = engine.counting(move |engine| engine.count_each(&messages));
            return count.await;
        }
        let Some(vocabulary) = target.vocabulary() else {
            return Ok(TokenCount::estimate(messages));
        };
        let messages = messages.to_vec();
        tokens::counted(move || vocabulary.count_prompt(&messages)).await
    }
}

impl Model {
    fn task(&self) -> Task {
        match self {
            Model::Chat(_) => Task::Chat,
            Model::Embedder { .. } => Task::Embedding,
            Model::Reranker { .. } => Task::Reranking,
            Model::Transcriber { .. } => Task::Transcription,
        }
    }
}
