//! The process itself: health, metrics, and this document.

use serde_json::json;

use super::operation::Operation;
use super::shape::{anything, count, has, list, object, only, text};
use super::{Writer, tags};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let health = object(
        "How the server is.",
        [
            has("status", "That it answers.", only("ok")),
            has("version", "Its version.", text()),
            has("functions", "Functions of the application.", count()),
            has("models", "Models that can be called.", count()),
            has(
                "missing_models",
                "Models that the application names and that are not on this machine.",
                list(text()),
            ),
        ],
    );
    let example = json!({
        "status": "ok", "version": "0.1.0", "functions": 1, "models": 24, "missing_models": [],
    });
    let health = to.schemas.name("Health", health);
    to.add(
        Operation::get("/healthz", "health")
            .tag(tags::SERVER)
            .says(
                "Tell that the server is up",
                "200 while it is, also where models are missing. It needs no key.",
            )
            .open()
            .gives("The server is up.", health, example),
    );
    let is = |word: &str| object("Whether it is.", [has("status", "In a word.", only(word))]);
    to.add(
        Operation::get("/readyz", "ready")
            .tag(tags::SERVER)
            .says(
                "Tell that requests may be sent",
                "200 while the store answers, too. It needs no key.",
            )
            .open()
            .gives(
                "Requests may be sent.",
                is("ready"),
                json!({ "status": "ready" }),
            )
            .or_gives(503, "The store does not answer.", is("unavailable")),
    );
    to.add(
        Operation::get("/metrics", "metrics")
            .tag(tags::SERVER)
            .says(
                "Metrics for Prometheus",
                "Counters, gauges and histograms in Prometheus' text format.",
            )
            .gives_as("text/plain", "The metrics.", text(), &[]),
    );
    to.add(
        Operation::get("/openapi.json", "openapi")
            .tag(tags::SERVER)
            .says(
                "This document",
                "OpenAPI 3.1. With a key that is for functions, or without any keys, each function of the \
                 application has a path of its own.",
            )
            .gives("The document.", object("An OpenAPI document.", [
                has("openapi", "The version of OpenAPI.", text()),
                has("info", "Of what it is.", anything()),
                has("servers", "Where it is served.", list(anything())),
                has("security", "That a key may be needed.", list(anything())),
                has("tags", "What operations are grouped by.", list(anything())),
                has("paths", "The operations, by path and method.", anything()),
                has("components", "What they share.", anything()),
            ]), json!(null)),
    );
}
