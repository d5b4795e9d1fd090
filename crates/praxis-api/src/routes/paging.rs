//! Lists as OpenAI's API pages them: `limit`, `order`, `after` and `before` in, `first_id`, `last_id` and
//! `has_more` out.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use praxis_core::ErrorCode;
use praxis_store::{MemberStatus, Page, Paged};
use serde_json::{Value, json};

use crate::error::ApiError;

/// How many items a list of vector stores or their files may give, and gives.
pub(crate) const SHORT: (RangeInclusive<usize>, usize) = (1..=100, 20);

/// The same of files.
pub(crate) const LONG: (RangeInclusive<usize>, usize) = (1..=10_000, 10_000);

/// The parameters of a list. Those that it does not know say nothing.
#[derive(Debug)]
pub(crate) struct ListParams(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for ListParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
        let Query(all) = query
            .map_err(|rejection| ApiError::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        Ok(Self(all))
    }
}

impl ListParams {
    /// A parameter, unless it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = self.0.get(name).map(String::as_str);
        text.filter(|text| !text.is_empty())
    }

    /// Which page is wanted, of a list with such limits.
    ///
    /// # Errors
    /// A limit or an order that is none.
    pub fn page(&self, limits: (RangeInclusive<usize>, usize)) -> Result<Page, ApiError> {
        let (range, usual) = limits;
        let limit = match self.text("limit") {
            None => usual,
            Some(text) => {
                let limit = text
                    .parse::<usize>()
                    .ok()
                    .filter(|limit| range.contains(limit));
                limit.ok_or_else(|| {
                    let (least, most) = (range.start(), range.end());
                    let message = format!("`limit` must be a number between {least} and {most}");
                    ApiError::invalid("limit", message)
                })?
            }
        };
        let descending = match self.text("order") {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(_) => {
                return Err(ApiError::invalid(
                    "order",
                    "`order` must be `asc` or `desc`",
                ));
            }
        };
        let key = |name| self.text(name).map(str::to_owned);
        Ok(Page {
            limit,
            descending,
            after: key("after"),
            before: key("before"),
        })
    }

    /// The status that files are wanted of.
    ///
    /// # Errors
    /// One that is none.
    pub fn status(&self) -> Result<Option<MemberStatus>, ApiError> {
        let Some(name) = self.text("filter") else {
            return Ok(None);
        };
        let message = "`filter` must be `in_progress`, `completed`, `failed` or `cancelled`";
        let status = MemberStatus::parse(name);
        status
            .map(Some)
            .ok_or_else(|| ApiError::invalid("filter", message))
    }
}

/// A page as it is answered.
pub(super) fn listed<T>(page: Paged<T>, shape: impl Fn(&T) -> Value) -> Value {
    let data: Vec<Value> = page.items.iter().map(shape).collect();
    let id = |item: Option<&Value>| item.map_or_else(|| json!(""), |item| item["id"].clone());
    json!({
        "object": "list",
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": page.has_more,
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn params(all: &[(&str, &str)]) -> ListParams {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        ListParams(all.iter().map(pair).collect())
    }

    #[test]
    fn a_page_is_as_openai_has_it() {
        let usual = params(&[]).page(SHORT).unwrap();
        assert_eq!((usual.limit, usual.descending), (20, true));
        let asked = params(&[("limit", "3"), ("order", "asc"), ("after", "a"), ("x", "y")]);
        let page = asked.page(SHORT).unwrap();
        assert_eq!((page.limit, page.descending), (3, false));
        assert_eq!((page.after.as_deref(), page.before), (Some("a"), None));
        for wrong in [
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "x"),
            ("order", "up"),
        ] {
            assert!(params(&[wrong]).page(SHORT).is_err(), "{wrong:?}");
        }
        assert!(params(&[("limit", "101")]).page(LONG).is_ok());
        assert!(params(&[("filter", "done")]).status().is_err());
        let status = params(&[("filter", "failed")]).status().unwrap();
        assert_eq!(status, Some(MemberStatus::Failed));
    }

    #[test]
    fn an_empty_list_has_ids_of_the_type_that_clients_expect() {
        let page = Paged::<Value> {
            items: Vec::new(),
            has_more: false,
        };
        let list = listed(page, Value::clone);
        assert_eq!(list["first_id"], "");
        assert_eq!(list["has_more"], false);
    }

    proptest! {
        #[test]
        fn any_parameters_are_a_page_or_an_error(limit in "\\PC{0,12}", order in "\\PC{0,6}", key in "\\PC{0,40}") {
            let all = params(&[("limit", &limit), ("order", &order), ("after", &key), ("filter", &key)]);
            if let Ok(page) = all.page(SHORT) {
                prop_assert!((1..=100).contains(&page.limit));
            }
            let _ = all.status();
        }
    }
}
