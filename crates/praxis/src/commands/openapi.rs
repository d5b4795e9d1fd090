//! `praxis openapi`: the API of the server as an OpenAPI document.

use praxis_api::openapi::{document, of_application};

use crate::app::App;
use crate::ui::{self, Failure};

/// Prints it with the functions of an application.
///
/// # Errors
/// None today.
pub fn run(app: &App) -> Result<(), Failure> {
    let mut functions = app.library.list();
    functions.extend(app.library.built_in());
    ui::out_json(&of_application(&functions));
    Ok(())
}

/// Prints it without any application.
///
/// # Errors
/// None today.
pub fn bare() -> Result<(), Failure> {
    ui::out_json(document());
    Ok(())
}
