//! Questions to a client within a call: a form for its person, an answer of its model, its folders. Older revisions ask
//! while the call runs; since 2026-07-28 the call ends with what it wants to know and is made again with the answers
//! (SEP-2322). A tool asks alike in both. Left out: what is asked.

use std::time::Duration;

use praxis_core::Caller;
use rmcp::model::{
    ClientCapabilities, ElicitationCapability, FormElicitationCapability, InputRequest,
    InputRequests, InputRequiredResult, InputResponses, RequestStateCodec, RootsCapabilities,
    SamplingCapability, SealOptions, ServerRequest,
};
use rmcp::service::{PeerRequestOptions, RequestContext};
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

/// How long a client of an older revision may take to answer.
const LONGEST: Duration = Duration::from_secs(300);

/// How long the state of a call holds that a client brings back.
const STATE_HOLDS: Duration = Duration::from_secs(3600);

/// Why a call does not end with its result.
#[derive(Debug)]
pub enum Halt {
    /// It wants to know something first, and is made again with the answers.
    Asks(Box<InputRequiredResult>),
    /// It cannot be made.
    Fails(ErrorData),
}

impl From<ErrorData> for Halt {
    fn from(error: ErrorData) -> Self {
        Self::Fails(error)
    }
}

/// What a call brought along from earlier rounds, and what the next one is bound to.
pub(super) struct Asking {
    codec: Option<RequestStateCodec>,
    bound: Vec<u8>,
    known: InputResponses,
}

/// What a request said: of which method, for what, with which arguments, and what it brought back.
pub(super) struct Round<'r> {
    pub method: &'static str,
    pub name: &'r str,
    pub arguments: &'r Value,
    pub answers: Option<InputResponses>,
    pub state: Option<&'r str>,
}

impl Asking {
    /// Reads what a request brought back.
    ///
    /// # Errors
    /// A state that this server did not give to this caller for this request, or that is too old.
    pub(super) fn new(
        codec: Option<&RequestStateCodec>,
        caller: &Caller,
        round: Round<'_>,
    ) -> Result<Self, ErrorData> {
        let bound = json!([round.method, round.name, round.arguments, caller]).to_string();
        let bound = blake3::hash(bound.as_bytes()).as_bytes().to_vec();
        let mut known = InputResponses::new();
        if let (Some(codec), Some(state)) = (codec, round.state) {
            known = codec.open_json_with(state, &bound).map_err(|_| {
                ErrorData::invalid_params(
                    "the requestState is none of this server for this request",
                    None,
                )
            })?;
        }
        // What is no object answers nothing.
        let answers = round.answers.into_iter().flatten();
        known.extend(answers.filter(|(_, answer)| answer.is_object()));
        Ok(Self {
            codec: codec.cloned(),
            bound,
            known,
        })
    }

    /// Asks, and gives the answers to all of it.
    ///
    /// # Errors
    /// [`Halt::Asks`] where the answers come with the next round; where the client cannot be asked so, or fails.
    pub(super) async fn ask(
        &self,
        requests: InputRequests,
        context: &RequestContext<RoleServer>,
    ) -> Result<InputResponses, Halt> {
        let missing = |key: &String| !self.known.contains_key(key);
        let known = self.known.clone();
        let known = known
            .into_iter()
            .filter(|(key, _)| requests.contains_key(key));
        let mut answers: InputResponses = known.collect();
        let open = requests.into_iter().filter(|(key, _)| missing(key));
        let open: InputRequests = open.collect();
        if open.is_empty() {
            return Ok(answers);
        }
        let able = context.client_capabilities().unwrap_or_default();
        let mut lacking = ClientCapabilities::default();
        for request in open.values() {
            lacks(&able, request, &mut lacking);
        }
        if lacking != ClientCapabilities::default() {
            return Err(ErrorData::missing_required_client_capability(lacking).into());
        }
        if is_older(context) {
            for (key, request) in open {
                answers.insert(key, at_once(request, context).await?);
            }
            return Ok(answers);
        }
        let options = SealOptions::new()
            .associated_data(&self.bound)
            .ttl(STATE_HOLDS);
        let state = self
            .codec
            .as_ref()
            .map(|codec| codec.seal_json_with(&self.known, &options));
        let Some(Ok(state)) = state else {
            return Err(
                ErrorData::internal_error("the state of the call cannot be kept", None).into(),
            );
        };
        let asks = InputRequiredResult::new(Some(open), Some(state));
        Err(Halt::Asks(Box::new(asks)))
    }
}

/// Whether a client asks by a revision that has sessions.
pub(super) fn is_older(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_none_or(|version| version.has_initialize())
}

/// Whether a client can have its person fill in a form.
pub(super) fn has_forms(context: &RequestContext<RoleServer>) -> bool {
    let able = context.client_capabilities().unwrap_or_default();
    able.elicitation.is_some_and(|can| takes_forms(&can))
}

/// Whether elicitation is by forms: it is where nothing else is said (2025-11-25, "Elicitation").
fn takes_forms(can: &ElicitationCapability) -> bool {
    can.form.is_some() || can.url.is_none()
}

/// What a client would have to be able to do for a request, and did not declare.
fn lacks(able: &ClientCapabilities, request: &InputRequest, lacking: &mut ClientCapabilities) {
    match request {
        InputRequest::CreateMessage(_) if able.sampling.is_none() => {
            lacking.sampling = Some(SamplingCapability::default());
        }
        InputRequest::ListRoots(_) if able.roots.is_none() => {
            lacking.roots = Some(RootsCapabilities::default());
        }
        InputRequest::Elicitation(_) if !able.elicitation.as_ref().is_some_and(takes_forms) => {
            let form = FormElicitationCapability::new();
            lacking.elicitation = Some(ElicitationCapability::new().with_form(form));
        }
        _ => {}
    }
}

/// The answer to one request, while the call runs.
async fn at_once(
    request: InputRequest,
    context: &RequestContext<RoleServer>,
) -> Result<Value, ErrorData> {
    let request = match request {
        InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
        InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
        InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
        _ => {
            return Err(ErrorData::internal_error(
                "a request of a kind that is not known",
                None,
            ));
        }
    };
    let failed = |error: rmcp::ServiceError| {
        ErrorData::internal_error(format!("the client gave no answer: {error}"), None)
    };
    let options = PeerRequestOptions::with_timeout(LONGEST);
    let handle = context
        .peer
        .send_request_with_option(request, options)
        .await;
    let answer = handle
        .map_err(failed)?
        .await_response()
        .await
        .map_err(failed)?;
    serde_json::to_value(answer).map_err(|e| ErrorData::internal_error(e.to_string(), None))
}
