//! A server as its tools use it: one connection that all share, made when the first needs it, made again when it is
//! lost, with a pause that grows. Left out: what is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use praxis_core::{CallContext, CallError, ChatGateway, ErrorCode};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotification, CancelledNotificationParam,
    ClientRequest, GetPromptRequest, GetPromptRequestParams, InputResponses, PingRequest,
    ReadResourceRequest, ReadResourceRequestParams, RequestId, ServerResult, SubscriptionFilter,
};
use rmcp::service::{PeerRequestOptions, ServiceError};
use rmcp::{Peer, RoleClient};
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::Place;
use super::config::Config;
use super::connect::{self, Link};
use super::failure;
use super::handler::Handler;
use super::list::{self, Offer};
use super::oauth;

/// How long a connection that was not used is taken to be there, and how long it may take to say so.
const FRESH: Duration = Duration::from_secs(30);
const PING: Duration = Duration::from_secs(5);

/// The pause after a connection that failed, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Times that a server may ask back before it answers, and the pause before it is asked again where it asked nothing.
const MOST_ROUNDS: u32 = 10;
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// Times that the lists of a connection are asked for again because the server says that they changed.
const MOST_CHANGES: usize = 1000;

/// A server.
pub(super) struct Server {
    pub name: String,
    pub config: Config,
    place: Place,
    handler: Arc<Handler>,
    state: Mutex<State>,
    /// One call at a time, where the server may ask a model: who pays must be known.
    turn: Option<Semaphore>,
}

#[derive(Default)]
struct State {
    connected: Option<Connected>,
    /// How many connections there were.
    connections: u64,
    failures: u32,
    not_before: Option<Instant>,
}

struct Connected {
    link: Link,
    used: Instant,
    /// Follows what the server offers.
    _follower: AbortOnDropHandle<()>,
}

/// A server that was reached.
pub(super) struct Reached {
    peer: Peer<RoleClient>,
    /// By which of its connections.
    connection: u64,
}

/// What a server is asked within a call.
pub(super) enum Ask {
    Tool(CallToolRequestParams),
    Prompt(GetPromptRequestParams),
    Resource(ReadResourceRequestParams),
}

impl Ask {
    fn request(&self) -> ClientRequest {
        match self {
            Self::Tool(params) => {
                ClientRequest::CallToolRequest(CallToolRequest::new(params.clone()))
            }
            Self::Prompt(params) => {
                ClientRequest::GetPromptRequest(GetPromptRequest::new(params.clone()))
            }
            Self::Resource(params) => {
                ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params.clone()))
            }
        }
    }

    /// The same again, with answers to what the server wanted to know.
    fn again(&mut self, answers: Option<InputResponses>, state: Option<String>) {
        let (to_answers, to_state) = match self {
            Self::Tool(params) => (&mut params.input_responses, &mut params.request_state),
            Self::Prompt(params) => (&mut params.input_responses, &mut params.request_state),
            Self::Resource(params) => (&mut params.input_responses, &mut params.request_state),
        };
        *to_answers = answers;
        *to_state = state;
    }
}

impl Server {
    /// A server that nobody has asked yet.
    pub(super) fn new(
        name: &str,
        config: &Config,
        place: Place,
        chat: &Arc<dyn ChatGateway>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            config: config.clone(),
            handler: Arc::new(Handler::new(name, config, &place.root, Some(chat))),
            place,
            state: Mutex::default(),
            turn: config.sampling.is_some().then(|| Semaphore::new(1)),
        }
    }

    /// Connects, if that is not done, and keeps what the server then says that it offers.
    ///
    /// # Errors
    /// Where the server does not answer, or not long ago did not.
    pub(super) async fn peer(&self) -> Result<Reached, CallError> {
        let mut state = self.state.lock().await;
        let connection = state.connections;
        if let Some(connected) = &mut state.connected {
            if is_there(connected).await {
                connected.used = Instant::now();
                let peer = connected.link.peer().clone();
                return Ok(Reached { peer, connection });
            }
            state.connected = None;
        }
        if let Some(left) = state
            .not_before
            .and_then(|at| at.checked_duration_since(Instant::now()))
        {
            let message = format!("the MCP server `{}` did not answer just now", self.name);
            let mut error = CallError::new(ErrorCode::Upstream, message)
                .with_hint(format!("it is tried again in {} s", left.as_secs() + 1));
            error.retry_after = Some(left);
            return Err(error);
        }
        let timeout = self.config.timeout();
        let connected = match tokio::time::timeout(timeout, self.connect()).await {
            Ok(connected) => connected,
            Err(_) => {
                let message = format!(
                    "the MCP server `{}` was not ready within {timeout:?}",
                    self.name
                );
                Err(CallError::new(ErrorCode::Timeout, message)
                    .with_hint("a longer `timeout` in its file gives it time"))
            }
        };
        match connected {
            Ok(connected) => {
                let peer = connected.link.peer().clone();
                let connection = state.connections + 1;
                *state = State {
                    connected: Some(connected),
                    connections: connection,
                    ..State::default()
                };
                Ok(Reached { peer, connection })
            }
            Err(error) => {
                let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(state.failures));
                state.failures = state.failures.saturating_add(1);
                // A person who has logged in does not wait.
                let waits = !is_refused(&error);
                state.not_before = waits.then(|| Instant::now() + pause.min(LONGEST_PAUSE));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Connected, CallError> {
        let (name, config, place) = (&self.name, &self.config, &self.place);
        let link = match connect::connect(name, config, place, &self.handler).await {
            Ok(link) => link,
            Err(refusal) => return Err(oauth::told(name, config, place, refusal).await),
        };
        let peer = link.peer().clone();
        // Tools must have been listed before they are called: their arguments may go into headers (SEP-2243).
        match list::fetch(&peer, config).await {
            Ok(offer) => renew(name, config, place, &offer),
            Err(error) => {
                let error = self.failed(&error).await;
                if is_refused(&error) || list::kept(&place.state, name, config).is_none() {
                    return Err(error);
                }
                tracing::warn!(server = %name, "it does not tell what it offers: {}", error.message);
            }
        }
        let follower = follow(
            name.clone(),
            config.clone(),
            place.clone(),
            peer,
            Arc::clone(&self.handler.changed),
        );
        Ok(Connected {
            link,
            used: Instant::now(),
            _follower: AbortOnDropHandle::new(tokio::spawn(follower)),
        })
    }

    /// Asks, and answers what the server wants to know before it answers.
    ///
    /// # Errors
    /// What the server or the connection does instead of answering, `timeout` and `cancelled`.
    pub(super) async fn ask(
        &self,
        mut ask: Ask,
        cx: &CallContext,
    ) -> Result<ServerResult, CallError> {
        let asked = async {
            let _turn = match &self.turn {
                Some(turn) => turn.acquire().await.ok(),
                None => None,
            };
            let mut reached = self.peer().await?;
            let mut may_renew = self.config.may_log_in();
            let _running = self.handler.begins(cx);
            for round in 0..MOST_ROUNDS {
                let needed = match self.once(&reached, ask.request()).await {
                    Ok(ServerResult::InputRequiredResult(needed)) => needed,
                    Ok(result) => return Ok(result),
                    Err(error) => {
                        let failed = self.lost(&reached, &error).await;
                        if !(may_renew && error.is_authorization_required()) {
                            return Err(failed);
                        }
                        // Nothing was done, and a person may have logged in since this connection was made.
                        may_renew = false;
                        reached = self.peer().await?;
                        continue;
                    }
                };
                let requests = needed.input_requests.unwrap_or_default();
                if requests.is_empty() {
                    if needed.request_state.is_none() {
                        return Err(failure::upstream(
                            &self.name,
                            "asks back, and does not say what",
                        ));
                    }
                    tokio::time::sleep(ROUND_PAUSE.saturating_mul(1 << round)).await;
                    ask.again(None, needed.request_state);
                    continue;
                }
                let answers = self.handler.answers(requests).await.map_err(|error| {
                    let message = format!(
                        "the MCP server `{}` asks for what it is not told: {}",
                        self.name, error.message
                    );
                    CallError::new(ErrorCode::Upstream, message)
                })?;
                ask.again(Some(answers), needed.request_state);
            }
            let what = format!("asks back more than {MOST_ROUNDS} times");
            Err(failure::upstream(&self.name, &what))
        };
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => Err(failure::cancelled()),
            result = asked => result,
        }
    }

    /// Asks once. Where nobody waits for the answer any more, the server is told.
    async fn once(
        &self,
        reached: &Reached,
        request: ClientRequest,
    ) -> Result<ServerResult, ServiceError> {
        let peer = &reached.peer;
        let options = PeerRequestOptions::with_timeout(self.config.timeout())
            .reset_timeout_on_progress()
            .with_max_total_timeout(self.config.longest());
        let handle = peer.send_request_with_option(request, options).await?;
        let waits = Waits {
            peer: peer.clone(),
            request: Some(handle.id.clone()),
        };
        let answer = handle.await_response().await;
        waits.no_more();
        answer
    }

    /// What went wrong, as a caller is told it. A connection that was closed is not used again, nor one whose token
    /// does not suffice: a person may log in meanwhile.
    async fn lost(&self, reached: &Reached, error: &ServiceError) -> CallError {
        let failed = self.failed(error).await;
        if matches!(error, ServiceError::TransportClosed) || is_refused(&failed) {
            let mut state = self.state.lock().await;
            if state.connections == reached.connection {
                state.connected = None;
            }
        }
        failed
    }

    /// What went wrong, as a caller is told it. A login that the server wants is noted.
    async fn failed(&self, error: &ServiceError) -> CallError {
        let refusal = connect::unanswered(&self.name, error);
        oauth::told(&self.name, &self.config, &self.place, refusal).await
    }
}

/// Whether a login is wanted, or does not suffice.
fn is_refused(error: &CallError) -> bool {
    matches!(error.code, ErrorCode::Unauthorized | ErrorCode::Forbidden)
}

/// Whether a connection is there still. One that was not used for a while is asked.
async fn is_there(connected: &Connected) -> bool {
    let peer = connected.link.peer();
    if connected.link.is_closed() || peer.is_transport_closed() {
        return false;
    }
    let speaks_ping = peer
        .peer_info()
        .is_some_and(|info| info.protocol_version.has_initialize());
    if !speaks_ping || connected.used.elapsed() < FRESH {
        return true;
    }
    let options = PeerRequestOptions::with_timeout(PING);
    let ping = ClientRequest::PingRequest(PingRequest::default());
    match peer.send_request_with_option(ping, options).await {
        // A server that does not know the question is there.
        Ok(handle) => matches!(
            handle.await_response().await,
            Ok(_) | Err(ServiceError::McpError(_))
        ),
        Err(_) => false,
    }
}

/// Tells a server, when it is dropped, that nobody waits for an answer any more.
struct Waits {
    peer: Peer<RoleClient>,
    request: Option<RequestId>,
}

impl Waits {
    /// The answer came.
    fn no_more(mut self) {
        self.request = None;
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let (Some(request), Ok(runtime)) =
            (self.request.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let reason = Some("the caller went away".to_owned());
        let params = CancelledNotificationParam::new(Some(request), reason);
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let told = peer.send_notification(CancelledNotification::new(params).into());
            let _ = tokio::time::timeout(PING, told).await;
        });
    }
}

/// Keeps what a server offers, where that is not what it offered before.
fn renew(name: &str, config: &Config, place: &Place, offer: &Offer) {
    let before = list::kept(&place.state, name, config);
    if before.as_ref() == Some(offer) {
        return;
    }
    match list::keep(&place.state, name, offer) {
        Ok(()) if before.is_some() => tracing::warn!(
            server = %name,
            "the MCP server offers something else than before; Praxis uses it after its next start"
        ),
        Ok(()) => {}
        Err(error) => tracing::warn!(server = %name, "what it offers cannot be kept: {error}"),
    }
}

/// Asks anew what a server offers when it says that this changed, as long as the connection lasts.
async fn follow(
    name: String,
    config: Config,
    place: Place,
    peer: Peer<RoleClient>,
    changed: Arc<Notify>,
) {
    let subscription = subscribed(&peer).await;
    // Servers of older revisions say it unasked, and `changed` is told.
    let said = async {
        let Some(mut subscription) = subscription else {
            return std::future::pending::<()>().await;
        };
        while let Ok(Some(_)) = subscription.next().await {
            changed.notify_one();
        }
        std::future::pending::<()>().await;
    };
    let asks = async {
        for _ in 0..MOST_CHANGES {
            changed.notified().await;
            if peer.is_transport_closed() {
                return;
            }
            match list::fetch(&peer, &config).await {
                Ok(offer) => renew(&name, &config, &place, &offer),
                Err(error) => tracing::debug!(server = %name, "{error}"),
            }
        }
    };
    tokio::select! {
        () = said => {}
        () = asks => {}
    }
}

/// The stream of changes that a server of revision 2026-07-28 is asked for.
async fn subscribed(peer: &Peer<RoleClient>) -> Option<rmcp::service::Subscription> {
    let info = peer.peer_info()?;
    if info.protocol_version.has_initialize() {
        return None;
    }
    let can = &info.capabilities;
    let mut filter = SubscriptionFilter::builder();
    let mut any = false;
    if can
        .tools
        .as_ref()
        .is_some_and(|tools| tools.list_changed == Some(true))
    {
        filter = filter.tools_list_changed();
        any = true;
    }
    if can
        .prompts
        .as_ref()
        .is_some_and(|prompts| prompts.list_changed == Some(true))
    {
        filter = filter.prompts_list_changed();
        any = true;
    }
    if can
        .resources
        .as_ref()
        .is_some_and(|resources| resources.list_changed == Some(true))
    {
        filter = filter.resources_list_changed();
        any = true;
    }
    if !any {
        return None;
    }
    peer.listen(filter.build()).await.ok()
}
