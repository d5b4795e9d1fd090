//! What a report is asked for: a time, a group and filters. A list is a parameter that comes several times, called
//! `NAME` or, as OpenAI's libraries write it, `NAME[]`. Left out: who may see what (`sources`).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use praxis_core::ledger::{Day, SubjectKind};
use praxis_core::{ErrorCode, Subject};

use crate::error::ApiError;

/// How many days a page may have. OpenAI's own limit is 180 for costs, and less for usage.
pub(crate) const LIMITS: RangeInclusive<usize> = 1..=180;

/// How many it has where nothing is said.
pub(crate) const USUAL: usize = 7;

/// What cursors begin with.
const CURSOR: &str = "page_";

/// By what results are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By model.
    Model,
    /// By key, user or tag.
    Payer(SubjectKind),
}

/// What `group_by` may name.
pub(crate) const FIELDS: &[(&str, By)] = &[
    ("model", By::Model),
    ("api_key_id", By::Payer(SubjectKind::Key)),
    ("user_id", By::Payer(SubjectKind::User)),
    ("project_id", By::Payer(SubjectKind::Tag)),
];

/// The same of costs.
pub(crate) const FIELDS_OF_COSTS: &[(&str, By)] = &[
    ("line_item", By::Model),
    ("model", By::Model),
    ("api_key_id", By::Payer(SubjectKind::Key)),
    ("user_id", By::Payer(SubjectKind::User)),
    ("project_id", By::Payer(SubjectKind::Tag)),
];

/// The days of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Days {
    /// Those that it shows, one after the other.
    pub shown: Vec<Day>,
    /// The first of the next page.
    pub next: Option<Day>,
}

/// Whose use is wanted, and of which models; of all where there are none.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Keys.
    pub keys: BTreeSet<Subject>,
    /// Users.
    pub users: BTreeSet<Subject>,
    /// Tags.
    pub tags: BTreeSet<Subject>,
    /// Models.
    pub models: BTreeSet<String>,
}

/// The parameters of a report, in order. Those that it does not know say nothing.
#[derive(Debug)]
pub(crate) struct Params(pub(super) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(all) = query
            .map_err(|rejection| ApiError::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        Ok(Self(all))
    }
}

impl Params {
    /// The days that are wanted, as far as they have begun.
    ///
    /// # Errors
    /// Times, a width, a limit or a cursor that are none.
    pub(super) fn days(&self, now_s: i64) -> Result<Days, ApiError> {
        if self.text("bucket_width").is_some_and(|width| width != "1d") {
            let message = "use is counted by days of UTC: `bucket_width` must be `1d`";
            return Err(ApiError::invalid("bucket_width", message));
        }
        let start = self.seconds("start_time")?.ok_or_else(|| {
            let message = "`start_time` is missing: say from when on, in seconds since 1970";
            ApiError::invalid("start_time", message)
        })?;
        let end = self.seconds("end_time")?;
        if end.is_some_and(|end| end <= start) {
            let message = "`end_time` must be later than `start_time`";
            return Err(ApiError::invalid("end_time", message));
        }
        let (first, today) = (day_of(start), day_of(now_s));
        let last = end.map_or(today, |end| day_of(end.saturating_sub(1)).min(today));
        let from = match self.text("page") {
            None => first,
            Some(text) => {
                let day = day_at(text).filter(|day| (first..=last).contains(day));
                day.ok_or_else(|| {
                    let message = "`page` is no page of this report: send the `next_page` of the \
                                   page before, and the same times";
                    ApiError::invalid("page", message)
                })?
            }
        };
        let numbers = (from.number()..=last.number()).take(self.limit()?);
        let shown: Vec<Day> = numbers.map(Day::from_number).collect();
        let end = shown.last().copied().filter(|day| *day < last);
        Ok(Days {
            shown,
            next: end.map(|day| Day::from_number(day.number() + 1)),
        })
    }

    /// By what results are grouped, and the field that says so.
    ///
    /// # Errors
    /// More than one field, or one that is not among those that there are.
    pub(super) fn group(
        &self,
        fields: &[(&'static str, By)],
    ) -> Result<Option<(&'static str, By)>, ApiError> {
        let asked: BTreeSet<&str> = self.list("group_by").collect();
        let mut asked = asked.into_iter();
        let Some(name) = asked.next() else {
            return Ok(None);
        };
        if asked.next().is_some() {
            let message = "use is summed by one field at a time: ask once for each `group_by`";
            return Err(ApiError::invalid("group_by", message));
        }
        let field = fields.iter().find(|(field, _)| *field == name).copied();
        field.map(Some).ok_or_else(|| {
            let names: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
            let message = format!("`group_by` must be one of {}", names.join(", "));
            ApiError::invalid("group_by", message)
        })
    }

    /// What the use is filtered by.
    ///
    /// # Errors
    /// A user without its key, or a filter by what is not counted.
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        // No call is of a batch here, so that `false` leaves none out.
        if self.text("batch").is_some_and(|batch| batch != "false") {
            let message = "batches are not counted: leave `batch` out";
            return Err(ApiError::invalid("batch", message));
        }
        let user = |name: &str| {
            format!("user:{name}").parse::<Subject>().map_err(|_| {
                let message =
                    "a user is one of a key: write `KEY/USER`, as `user_id` is in results";
                ApiError::invalid("user_ids", message)
            })
        };
        Ok(Filter {
            keys: self.list("api_key_ids").map(Subject::key).collect(),
            users: self.list("user_ids").map(user).collect::<Result<_, _>>()?,
            tags: self.list("project_ids").map(Subject::tag).collect(),
            models: self.list("models").map(str::to_owned).collect(),
        })
    }

    fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.text("limit") else {
            return Ok(USUAL);
        };
        let limit = text.parse::<usize>().ok();
        limit.filter(|l| LIMITS.contains(l)).ok_or_else(|| {
            let message = format!(
                "`limit` must be a number between {} and {}",
                LIMITS.start(),
                LIMITS.end()
            );
            ApiError::invalid("limit", message)
        })
    }

    fn seconds(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| {
                let message = format!("`{name}` must be a whole number of seconds since 1970");
                ApiError::invalid(name, message)
            })
        };
        self.text(name).map(number).transpose()
    }

    /// A parameter; the last one where there are several.
    fn text(&self, name: &str) -> Option<&str> {
        self.list(name).last()
    }

    /// All values of a parameter that are not empty.
    fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(move |(key, value)| {
            let key = key.strip_suffix("[]").unwrap_or(key);
            (key == name && !value.is_empty()).then_some(value.as_str())
        })
    }
}

fn day_of(seconds: i64) -> Day {
    Day::of(seconds.saturating_mul(1_000_000))
}

/// The cursor of the page that begins with a day.
pub(super) fn cursor(day: Day) -> String {
    format!("{CURSOR}{}", URL_SAFE_NO_PAD.encode(day.to_string()))
}

/// The day that a cursor stands for.
fn day_at(cursor: &str) -> Option<Day> {
    let day = URL_SAFE_NO_PAD.decode(cursor.strip_prefix(CURSOR)?).ok()?;
    String::from_utf8(day).ok()?.parse().ok()
}
