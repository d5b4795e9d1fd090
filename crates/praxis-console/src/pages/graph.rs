//! The knowledge graph of a base to be read: its entities, what is said of each and where, and the way from one to
//! another. Everything comes from the documents that the caller may read. Left out: building it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use praxis_api::{Admitted, ApiState};
use praxis_core::{CallError, Clearance, ErrorCode};
use praxis_knowledge::{GraphAnswer, GraphEntity, GraphSize, GraphTriple, Provenance};

use super::picture::Picture;
use super::{Frame, count, encoded, failed, lang, render, shown_uri};

/// Entities, the most frequent ones, among which a part of a name is looked for.
const LOOKED_THROUGH: usize = 1000;

/// Entities of a list.
const LISTED: usize = 60;

/// Types to choose from.
const TYPES: usize = 12;

/// Triples of an entity, at first and at most.
const TRIPLES: usize = 50;
const MOST_TRIPLES: usize = 1000;

/// Triples of a way.
const DEPTH: usize = 4;

/// Quotes that are shown at once.
const QUOTES: usize = 1;

#[derive(Template)]
#[template(path = "graph.html")]
struct GraphPage {
    frame: Frame,
    base: String,
    address: String,
    /// How large it is; empty where there is nothing to see.
    summary: String,
    /// What was searched for.
    asked: String,
    /// Why there is no more than this.
    problem: String,
    shown: Shown,
}

/// What a page shows.
enum Shown {
    Nothing,
    List {
        heading: String,
        types: Vec<Type>,
        entities: Vec<EntityView>,
        /// What is not on the list.
        rest: String,
    },
    Entities(Vec<EntityPart>),
    Way {
        from: End,
        to: String,
        triples: Vec<TripleView>,
    },
}

struct Type {
    name: String,
    count: usize,
    href: String,
    is_chosen: bool,
}

struct EntityView {
    end: End,
    facts: String,
    aliases: String,
}

/// An entity with all that is said of it.
struct EntityPart {
    entity: EntityView,
    picture: Option<Picture>,
    triples: Vec<TripleView>,
    /// Triples that are not shown, and where they are.
    more: usize,
    all: String,
}

/// An entity as one side of a triple.
struct End {
    name: String,
    kind: String,
    lang: &'static str,
    href: String,
    /// Whether the page is about it.
    is_here: bool,
}

struct TripleView {
    subject: End,
    relation: String,
    object: End,
    /// How many passages say so, where these are more than one.
    statements: String,
    quotes: Vec<QuoteView>,
    more: Vec<QuoteView>,
}

struct QuoteView {
    text: String,
    lang: &'static str,
    uri: String,
    href: String,
}

/// What is asked of a graph.
#[derive(serde::Deserialize, Default)]
pub(crate) struct Question {
    #[serde(default)]
    entity: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    to: String,
    limit: Option<usize>,
}

/// A list of entities, one of them, or the way from one to another.
pub(crate) async fn show(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(base): Path<String>,
    Query(question): Query<Question>,
) -> Response {
    let clearance = &caller.clearance;
    if !state.knowledge.names(clearance).contains(&base) {
        let error = CallError::new(ErrorCode::NotFound, format!("no knowledge base `{base}`"));
        return failed(&state, &error);
    }
    let asker = Asker {
        state: &state,
        clearance,
        address: encoded(&base),
        base: &base,
    };
    match asker.answer(&question).await {
        Ok((stats, problem, shown)) => render(&GraphPage {
            frame: Frame::new(&state, "documents", title(&base, &shown)),
            address: asker.address.clone(),
            summary: stats.as_ref().map(summary).unwrap_or_default(),
            asked: question.entity.trim().to_owned(),
            problem,
            shown,
            base,
        }),
        Err(error) => failed(&state, &error),
    }
}

/// How large the graph of a base is for a caller, if it has one.
pub(super) async fn size(state: &ApiState, base: &str, clearance: &Clearance) -> Option<String> {
    // Most bases have none, and are not opened for that.
    if !state.store.has_graph(base).await.ok()? {
        return None;
    }
    let stats = state.knowledge.graph_size(base, clearance).await.ok()?;
    (stats.entities > 0).then(|| entities(stats.entities))
}

fn entities(number: usize) -> String {
    match number {
        1 => "1 entity".to_owned(),
        n => format!("{n} entities"),
    }
}

fn summary(stats: &GraphSize) -> String {
    format!(
        "{} and {}, from {}",
        entities(stats.entities),
        count(stats.triples as u64, "relation"),
        count(stats.chunks as u64, "passage")
    )
}

fn title(base: &str, shown: &Shown) -> String {
    match shown {
        Shown::Entities(parts) => parts
            .first()
            .map(|part| part.entity.end.name.clone())
            .unwrap_or_default(),
        Shown::Way { from, to, .. } => format!("{} – {to}", from.name),
        Shown::Nothing | Shown::List { .. } => format!("Graph of {base}"),
    }
}

/// Size, problem, and what is shown.
type Answer = (Option<GraphSize>, String, Shown);

/// A caller before the graph of a base.
struct Asker<'a> {
    state: &'a ApiState,
    clearance: &'a Clearance,
    base: &'a str,
    address: String,
}

impl Asker<'_> {
    async fn answer(&self, question: &Question) -> Result<Answer, CallError> {
        let knowledge = &self.state.knowledge;
        let stats = match knowledge.graph_size(self.base, self.clearance).await {
            Ok(stats) if stats.entities > 0 => stats,
            Ok(_) => return Ok((None, String::new(), Shown::Nothing)),
            // A base without documents has no graph either.
            Err(error) if error.code == ErrorCode::NotFound => {
                return Ok((None, String::new(), Shown::Nothing));
            }
            Err(error) => return Err(error),
        };
        let (name, to) = (question.entity.trim(), question.to.trim());
        let (problem, shown) = if name.is_empty() {
            (String::new(), self.list("", question, &stats).await?)
        } else {
            let limit = question.limit.unwrap_or(TRIPLES).clamp(1, MOST_TRIPLES);
            let found = knowledge.graph(self.base, Some(name), limit, self.clearance);
            match found.await {
                Ok(found) if to.is_empty() => (String::new(), self.parts(question, &found)),
                Ok(found) => self.way(question, &found).await?,
                Err(error) if error.code == ErrorCode::NotFound => {
                    let list = self.list(name, question, &stats).await?;
                    match &list {
                        Shown::List { entities, .. } if !entities.is_empty() => {
                            (String::new(), list)
                        }
                        _ => (
                            nothing_called(name, &error),
                            self.list("", question, &stats).await?,
                        ),
                    }
                }
                Err(error) => return Err(error),
            }
        };
        Ok((Some(stats), problem, shown))
    }

    /// The most frequent entities that have `part` in a name.
    async fn list(
        &self,
        part: &str,
        question: &Question,
        stats: &GraphSize,
    ) -> Result<Shown, CallError> {
        let all = self
            .state
            .knowledge
            .graph(self.base, None, LOOKED_THROUGH, self.clearance)
            .await?;
        let kind = question.kind.as_str();
        let wanted = part.to_lowercase();
        let mut found: Vec<&GraphEntity> = all
            .entities
            .iter()
            .filter(|e| kind.is_empty() || e.kind == kind)
            .filter(|e| {
                let mut names = std::iter::once(&e.name).chain(&e.aliases);
                names.any(|name| name.to_lowercase().contains(&wanted))
            })
            .collect();
        let hits = found.len();
        found.truncate(LISTED);
        let mut rest = Vec::new();
        if hits > LISTED {
            rest.push(format!("{} more are not on this list.", hits - LISTED));
        }
        if stats.entities > LOOKED_THROUGH {
            rest.push(format!(
                "Lists are made of the {LOOKED_THROUGH} most frequent entities; a whole name finds any."
            ));
        }
        let heading = match (part.is_empty(), kind.is_empty()) {
            (true, true) => "Most often named".to_owned(),
            (true, false) => format!("Most often named of type {kind}"),
            (false, _) => format!("With “{part}” in their names"),
        };
        let types = stats.types.iter().take(TYPES).map(|(name, count)| Type {
            name: name.clone(),
            count: *count,
            href: self.href(&[("type", name)]),
            is_chosen: name == kind,
        });
        Ok(Shown::List {
            heading,
            types: if part.is_empty() && stats.types.len() > 1 {
                types.collect()
            } else {
                Vec::new()
            },
            entities: found.into_iter().map(|e| self.entity(e)).collect(),
            rest: rest.join(" "),
        })
    }

    /// The entities of a name, each with its triples.
    fn parts(&self, question: &Question, found: &GraphAnswer) -> Shown {
        let kind = question.kind.as_str();
        let is_known = found.entities.iter().any(|e| e.kind == kind);
        let meant = found.entities.iter();
        let parts = meant
            .filter(|e| !is_known || e.kind == kind)
            .map(|entity| {
                let here = (entity.name.as_str(), entity.kind.as_str());
                let own: Vec<&GraphTriple> = found
                    .triples
                    .iter()
                    .filter(|t| {
                        (t.subject.as_str(), t.subject_type.as_str()) == here
                            || (t.object.as_str(), t.object_type.as_str()) == here
                    })
                    .collect();
                let limit = MOST_TRIPLES.to_string();
                let query = [
                    ("entity", here.0),
                    ("type", here.1),
                    ("limit", limit.as_str()),
                ];
                EntityPart {
                    picture: Picture::of(here, &own, |name, kind| self.to(name, kind)),
                    more: entity.triples.saturating_sub(own.len()),
                    all: if question.limit.is_none() {
                        self.href(&query)
                    } else {
                        String::new()
                    },
                    triples: own.into_iter().map(|t| self.triple(t, here)).collect(),
                    entity: self.entity(entity),
                }
            })
            .collect();
        Shown::Entities(parts)
    }

    /// The way from an entity to another.
    async fn way(
        &self,
        question: &Question,
        found: &GraphAnswer,
    ) -> Result<(String, Shown), CallError> {
        let (name, to) = (question.entity.trim(), question.to.trim());
        let knowledge = &self.state.knowledge;
        let way = knowledge.graph_path(self.base, (name, to), DEPTH, self.clearance);
        let (problem, triples) = match way.await {
            Ok(Some(triples)) if triples.is_empty() => {
                ("Both names are one entity.".to_owned(), triples)
            }
            Ok(Some(triples)) => (String::new(), triples),
            Ok(None) => (
                format!("No way of at most {DEPTH} relations leads from one to the other."),
                Vec::new(),
            ),
            Err(error) if error.code == ErrorCode::NotFound => {
                (nothing_called(to, &error), Vec::new())
            }
            Err(error) => return Err(error),
        };
        let from = match found.entities.first() {
            Some(entity) => self.end(&entity.name, &entity.kind, false),
            None => self.end(name, "", false),
        };
        let shown = Shown::Way {
            from,
            to: to.to_owned(),
            triples: triples.iter().map(|t| self.triple(t, ("", ""))).collect(),
        };
        Ok((problem, shown))
    }

    fn entity(&self, entity: &GraphEntity) -> EntityView {
        let facts = format!(
            "in {} · {}",
            count(u64::from(entity.chunks), "passage"),
            count(entity.triples as u64, "relation")
        );
        EntityView {
            end: self.end(&entity.name, &entity.kind, false),
            facts,
            aliases: entity.aliases.join(", "),
        }
    }

    fn end(&self, name: &str, kind: &str, is_here: bool) -> End {
        End {
            name: name.to_owned(),
            kind: kind.to_owned(),
            lang: lang(name),
            href: self.to(name, kind),
            is_here,
        }
    }

    fn triple(&self, triple: &GraphTriple, here: (&str, &str)) -> TripleView {
        let end = |name: &str, kind: &str| self.end(name, kind, (name, kind) == here);
        let mut quotes = triple.provenance.iter().map(quote);
        TripleView {
            subject: end(&triple.subject, &triple.subject_type),
            relation: spoken(&triple.relation),
            object: end(&triple.object, &triple.object_type),
            statements: match triple.statements {
                0 | 1 => String::new(),
                n => format!("stated in {}", count(n as u64, "passage")),
            },
            quotes: quotes.by_ref().take(QUOTES).collect(),
            more: quotes.collect(),
        }
    }

    /// The address of an entity.
    fn to(&self, name: &str, kind: &str) -> String {
        self.href(&[("entity", name), ("type", kind)])
    }

    fn href(&self, query: &[(&str, &str)]) -> String {
        let query: Vec<String> = query
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        format!("/documents/graph/{}?{}", self.address, query.join("&"))
    }
}

fn nothing_called(name: &str, error: &CallError) -> String {
    let hint = error.hint.as_deref().filter(|h| h.starts_with("did you"));
    match hint {
        Some(hint) => format!("Nothing here is called “{name}”: {hint}"),
        None => format!("Nothing here is called “{name}”."),
    }
}

/// A relation as people say it: models write `studied_in`.
pub(super) fn spoken(relation: &str) -> String {
    relation.replace('_', " ")
}

fn quote(place: &Provenance) -> QuoteView {
    QuoteView {
        lang: lang(&place.quote),
        text: place.quote.clone(),
        uri: shown_uri(&place.uri),
        href: format!(
            "/documents/{}?start={}&end={}#passage",
            encoded(place.document.as_str()),
            place.start,
            place.end
        ),
    }
}
