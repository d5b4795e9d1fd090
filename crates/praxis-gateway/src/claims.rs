//! What a request may take of its payer's limits, before it is sent: the most that it can, so that no budget is overrun
//! however many are sent at a time. Left out: keeping count (`praxis_core::Ledger`).

use std::sync::Arc;

use futures::FutureExt;
use praxis_core::{
    CallContext, ChatRequest, Claim, Ledger, ModelError, Money, Spent, Subject, Ticket, tokens,
};

use crate::asking::Plan;

/// The longest answer of a request that has limits and does not say how long its answer may be.
const LONGEST_ANSWER: u32 = 4096;

/// What a call owes to the ledger: settled once, with what it took.
pub(crate) struct Bill {
    ledger: Arc<dyn Ledger>,
    /// What was reserved; none where no limit holds.
    ticket: Option<Ticket>,
    subjects: Vec<Subject>,
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
        let mut bill = Self {
            ledger: Arc::clone(ledger),
            ticket: None,
            subjects: claim.subjects.clone(),
        };
        if claim.limits.is_empty() {
            return Ok(bill);
        }
        let longest = *request.sampling.max_tokens.get_or_insert(LONGEST_ANSWER);
        let tools = serde_json::to_vec(&request.tools).map_or(0, |tools| tools.len());
        let form = serde_json::to_vec(&request.constraint).map_or(0, |form| form.len());
        let prompt = (tokens::most(&request.messages) + tools + form) as u64;
        let answer = u64::from(longest);
        // A second model that is asked beside the first is paid, too.
        let times = 1 + u64::from(plan.hedge_after.is_some());
        claim.tokens = times * (prompt + answer);
        let most = plan.targets.iter().map(|t| t.price.most(prompt, answer).0);
        let most = most.max().unwrap_or_default();
        claim.money = Money(most.saturating_mul(i64::try_from(times).unwrap_or(1)));
        let reserved = ledger.reserve(claim).await;
        let reserved = reserved.map_err(|error| ModelError::Limited(Box::new(error.into())))?;
        bill.ticket = Some(reserved.ticket);
        Ok(bill)
    }

    /// What is paid by who operates the server.
    pub(crate) fn of_nobody(ledger: &Arc<dyn Ledger>) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            ticket: None,
            subjects: Vec::new(),
        }
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
