//! What a request may take of its payer's limits, before it is sent: the most that it can, so that no budget is overrun
//! however many are sent at a time. Left out: keeping count (`praxis_core::Ledger`).

use std::sync::Arc;

use futures::FutureExt;
use praxis_core::ledger::What;
use praxis_core::{
    CallContext, CallError, ChatRequest, Claim, ErrorCode, Ledger, Limit, ModelError, Money, Spent,
    Subject, Ticket,
};

use crate::asking::Plan;
use crate::config::Price;

/// The longest answer of a request that has limits and does not say how long its answer may be.
const LONGEST_ANSWER: u32 = 4096;

/// What a call owes to the ledger: settled once, with what it took.
pub(crate) struct Bill {
    ledger: Arc<dyn Ledger>,
    /// What was reserved; none where no limit holds.
    ticket: Option<Ticket>,
    subjects: Vec<Subject>,
}

/// Why a model whose price nobody knows is not asked where a limit of money holds: it would not hold.
fn without_price(model: &str, subject: &Subject, limit: &Limit) -> ModelError {
    let message = format!("`{subject}` may use {limit}, and nobody knows what `{model}` costs");
    let error = CallError::new(ErrorCode::QuotaExceeded, message)
        .with_hint("give the model a `price` in praxis.toml, or take the limit of money away");
    ModelError::Limited(Box::new(error))
}

impl Bill {
    /// Takes what a request may need, from all limits that hold for who pays. A request that does not say how long its
    /// answer may be gets a bound, where there are limits.
    ///
    /// # Errors
    /// [`ModelError::Limited`] where a limit has no room.
    pub(crate) async fn open(
        ledger: &Arc<dyn Ledger>,
        plan: &Plan,
        request: &mut ChatRequest,
        cx: &CallContext,
    ) -> Result<Self, ModelError> {
        let mut claim = Claim::new(cx.payer(), cx.limits());
        if claim.limits.is_empty() {
            return Ok(Self::without_limits(ledger, claim));
        }
        let longest = *request.sampling.max_tokens.get_or_insert(LONGEST_ANSWER);
        let tools = serde_json::to_vec(&request.tools).map_or(0, |tools| tools.len());
        let form = serde_json::to_vec(&request.constraint).map_or(0, |form| form.len());
        let mut messages = 0;
        for target in &plan.targets {
            messages = messages.max(target.most_of(&request.messages).await);
        }
        let prompt = (messages + tools + form) as u64;
        let answer = u64::from(longest);
        // A second model that is asked beside the first is paid, too.
        let times = 1 + u64::from(plan.hedge_after.is_some());
        claim.tokens = times * (prompt + answer);
        let is_money = |(_, limit): &(Subject, Limit)| limit.what == What::Money;
        let unknown = plan.targets.iter().find(|t| t.price.is_none());
        if let (Some(target), Some((subject, limit))) =
            (unknown, claim.limits.iter().find(|l| is_money(l)))
        {
            return Err(without_price(&target.name, subject, limit));
        }
        let prices = plan.targets.iter().filter_map(|t| t.price);
        let most = prices.map(|price| price.most(prompt, answer).0);
        let most = most.max().unwrap_or_default();
        claim.money = Money(most.saturating_mul(i64::try_from(times).unwrap_or(1)));
        Self::reserved(ledger, claim).await
    }

    /// The same for texts that become vectors, of so many tokens at most.
    ///
    /// # Errors
    /// As [`Bill::open`].
    pub(crate) async fn for_texts(
        ledger: &Arc<dyn Ledger>,
        most: u64,
        price: Option<Price>,
        model: &str,
        cx: &CallContext,
    ) -> Result<Self, ModelError> {
        let mut claim = Claim::new(cx.payer(), cx.limits());
        if claim.limits.is_empty() {
            return Ok(Self::without_limits(ledger, claim));
        }
        let money = claim.limits.iter().find(|(_, l)| l.what == What::Money);
        if let (None, Some((subject, limit))) = (price, money) {
            return Err(without_price(model, subject, limit));
        }
        claim.tokens = most;
        claim.money = price.unwrap_or_default().most(most, 0);
        Self::reserved(ledger, claim).await
    }

    async fn reserved(ledger: &Arc<dyn Ledger>, claim: Claim) -> Result<Self, ModelError> {
        let subjects = claim.subjects.clone();
        let reserved = ledger.reserve(claim).await;
        let reserved = reserved.map_err(|error| ModelError::Limited(Box::new(error.into())))?;
        Ok(Self {
            ledger: Arc::clone(ledger),
            ticket: Some(reserved.ticket),
            subjects,
        })
    }

    fn without_limits(ledger: &Arc<dyn Ledger>, claim: Claim) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            ticket: None,
            subjects: claim.subjects,
        }
    }

    /// What is paid by who operates the server.
    pub(crate) fn of_nobody(ledger: &Arc<dyn Ledger>) -> Self {
        Self::without_limits(ledger, Claim::default())
    }

    /// Pays it. The ledger keeps what it is told when it is asked first, so that nobody has to wait, also where a call
    /// is dropped.
    pub(crate) fn pay(self, spent: Spent) {
        let paid = match self.ticket {
            Some(ticket) => self.ledger.settle(ticket, spent).now_or_never(),
            None => self.ledger.note(self.subjects, spent).now_or_never(),
        };
        // Where there is no room, the ledger waits for it by itself.
        let _ = paid;
    }
}
