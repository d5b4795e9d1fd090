//! Calls of tools that wait for a person, and the log of all calls. The page holds the frame; scripts ask for what there
//! is and decide. Left out: who may decide, which the API says.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use praxis_api::{Admitted, ApiState};
use praxis_core::approval::Outcome;

use super::{Frame, render};

#[derive(Template)]
#[template(path = "approvals.html")]
struct ApprovalsPage {
    frame: Frame,
    /// Whose key it is, who does not decide on what the key itself asked for; the owner of the server has no name.
    reader: Option<String>,
    outcomes: [&'static str; Outcome::ALL.len()],
}

/// The page, whatever the key is for: its scripts say where the API refuses it.
pub(crate) async fn show(State(state): State<ApiState>, Admitted(caller): Admitted) -> Response {
    render(&ApprovalsPage {
        frame: Frame::new(&state, "approvals", "Approvals"),
        reader: caller.name,
        outcomes: Outcome::ALL.map(Outcome::as_str),
    })
}
