//! Which sums of the store make up a report that a caller may see. The store has sums by key, by user and by tag, each
//! by model, and none by two of these three at once: what would need such sums is refused, never guessed. Left out:
//! reading them.

use std::collections::BTreeSet;

use praxis_core::ledger::{SubjectKind, user_prefix};
use praxis_core::{Caller, ErrorCode, Subject};
use praxis_store::UsageGroup;

use super::params::{By, Filter};
use crate::error::ApiError;

/// The most sums that a report reads.
const MOST_SUMS: usize = 100;

/// Sums of the store.
#[derive(Debug)]
pub(super) struct Source {
    /// Which.
    pub group: UsageGroup,
    /// What they are called in the report, where not as in the store.
    pub name: Option<String>,
}

impl From<UsageGroup> for Source {
    fn from(group: UsageGroup) -> Self {
        Self { group, name: None }
    }
}

/// Whose use it is.
enum Payers {
    All,
    /// That of these, which are all of this kind; of nobody where there are none.
    These(SubjectKind, BTreeSet<Subject>),
}

/// The sums for a report that is grouped and filtered like this. No call is in two of them, unless they are of two
/// groups.
///
/// # Errors
/// What the caller may not see, and what is not counted.
pub(super) fn sources(
    by: Option<By>,
    filter: &Filter,
    caller: &Caller,
) -> Result<Vec<Source>, ApiError> {
    let of_tags = by == Some(By::Payer(SubjectKind::Tag)) || !filter.tags.is_empty();
    if of_tags && !caller.clearance.is_full() {
        let message = "projects are tags, which belong to all keys: ask without them, or with a key that \
                       may read everything";
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    let sources: Vec<Source> = match (by, payers(filter, caller)?) {
        (None, Payers::All) => vec![UsageGroup::Total(None).into()],
        (Some(By::Model), Payers::All) => vec![UsageGroup::Model(None).into()],
        (Some(By::Payer(kind)), Payers::All) => vec![all_of(kind).into()],
        (None | Some(By::Model), Payers::These(SubjectKind::Tag, tags)) if tags.len() > 1 => {
            let message = "a call can have several tags, and would count for each: send one of \
                           `project_ids`, or `group_by=project_id`";
            return Err(ApiError::invalid("project_ids", message));
        }
        (None, Payers::These(_, payers)) => {
            let total = |payer| Source::from(UsageGroup::Total(Some(payer)));
            payers.into_iter().map(total).collect()
        }
        (Some(By::Model), Payers::These(_, payers)) => {
            let by_model = |payer| Source::from(UsageGroup::Model(Some(payer)));
            payers.into_iter().map(by_model).collect()
        }
        (Some(By::Payer(kind)), Payers::These(same, payers)) if kind == same => {
            payers.into_iter().map(named).collect()
        }
        (Some(By::Payer(SubjectKind::User)), Payers::These(SubjectKind::Key, keys)) => {
            keys.iter().map(|key| Source::from(users_of(key))).collect()
        }
        (Some(By::Payer(_)), Payers::These(..)) => return Err(crossed("group_by")),
    };
    let wanted = sources.len().saturating_mul(filter.models.len().max(1));
    if wanted > MOST_SUMS {
        let message = format!(
            "the filters ask for {wanted} sums, and a report has at most {MOST_SUMS}: name fewer keys, users, \
             projects or models"
        );
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(sources)
}

/// Whose use a caller sees through a filter.
fn payers(filter: &Filter, caller: &Caller) -> Result<Payers, ApiError> {
    let Filter { keys, users, .. } = filter;
    if !filter.tags.is_empty() {
        return match keys.is_empty() && users.is_empty() {
            true => Ok(Payers::These(SubjectKind::Tag, filter.tags.clone())),
            false => Err(crossed("project_ids")),
        };
    }
    // The keys whose use it can be; any where there are none.
    let keys = match own_key(caller)? {
        None => keys.clone(),
        Some(own) if keys.is_empty() || keys.contains(&own) => BTreeSet::from([own]),
        Some(_) => return Ok(Payers::These(SubjectKind::Key, BTreeSet::new())),
    };
    if !users.is_empty() {
        let of_them = |user: &&Subject| keys.is_empty() || keys.iter().any(|key| is_of(user, key));
        let users = users.iter().filter(of_them).cloned().collect();
        return Ok(Payers::These(SubjectKind::User, users));
    }
    Ok(match keys.is_empty() {
        true => Payers::All,
        false => Payers::These(SubjectKind::Key, keys),
    })
}

/// The key that a caller is held to; none for one that may read everything.
fn own_key(caller: &Caller) -> Result<Option<Subject>, ApiError> {
    if caller.clearance.is_full() {
        return Ok(None);
    }
    let name = caller.name.as_deref().filter(|name| !name.is_empty());
    let own = name.map(Subject::key).ok_or_else(|| {
        let message =
            "no use is counted for a key without a name: ask with one that may read everything";
        ApiError::new(ErrorCode::Forbidden, message)
    })?;
    Ok(Some(own))
}

fn is_of(user: &Subject, key: &Subject) -> bool {
    user.parts().1.starts_with(&user_prefix(key.parts().1))
}

fn all_of(kind: SubjectKind) -> UsageGroup {
    match kind {
        SubjectKind::Key => UsageGroup::Key,
        SubjectKind::User => UsageGroup::User { key: None },
        SubjectKind::Tag => UsageGroup::Tag,
    }
}

fn users_of(key: &Subject) -> UsageGroup {
    UsageGroup::User {
        key: Some(key.parts().1.to_owned()),
    }
}

fn named(payer: Subject) -> Source {
    Source {
        name: Some(payer.parts().1.to_owned()),
        group: UsageGroup::Total(Some(payer)),
    }
}

fn crossed(param: &str) -> ApiError {
    let message = "use is counted by key, by user and by project, and not by two of them at once (but a key's users): \
                   leave one of them out";
    ApiError::invalid(param, message)
}
