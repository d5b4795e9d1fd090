//! How a file would be cut, before anything is stored. The page holds the frame; a script sends the file and shows what
//! comes back.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use praxis_api::{Admitted, ApiState};
use praxis_core::CallError;

use super::{Frame, encoded, failed, render};

#[derive(Template)]
#[template(path = "preview.html")]
struct PreviewPage {
    frame: Frame,
    bases: Vec<BaseView>,
}

struct BaseView {
    name: String,
    address: String,
    /// Bytes of a file that it reads.
    most: u64,
    is_chosen: bool,
}

/// The base that is meant.
#[derive(serde::Deserialize, Default)]
pub(crate) struct Choice {
    base: Option<String>,
}

/// Where a file is chosen.
pub(crate) async fn show(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Query(choice): Query<Choice>,
) -> Response {
    let names = state.knowledge.names(&caller.clearance).into_iter();
    let bases: Result<Vec<BaseView>, CallError> = names
        .map(|name| {
            let own = state.knowledge.preview_limit(&name, &caller.clearance)?;
            Ok(BaseView {
                address: encoded(&name),
                most: own.min(state.files.limits().max_file_bytes),
                is_chosen: choice.base.as_ref() == Some(&name),
                name,
            })
        })
        .collect();
    match bases {
        Ok(bases) => render(&PreviewPage {
            frame: Frame::new(&state, "documents", "How a file would be cut"),
            bases,
        }),
        Err(error) => failed(&state, &error),
    }
}
