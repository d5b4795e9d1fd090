//! What a request may take of its payer's limits, before it is sent: the most that it can, so that no budget is overrun
//! however many are sent at a time. What is left is told to who made the call. Left out: keeping count
//! (`praxis_core::Ledger`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use praxis_core::ledger::What;
use praxis_core::{
    CallContext, CallError, ChatRequest, Claim, ErrorCode, Ledger, LedgerError, Limit, ModelError,
    Money, Spent, Subject, Ticket,
};

use crate::asking::Plan;
use crate::price::Price;

/// The longest answer of a request that has limits and does not say how long its answer may be.
pub(crate) const LONGEST_ANSWER: u32 = 4096;

/// What a call owes to the ledger: settled once, with what it took.
pub(crate) struct Bill {
    ledger: Arc<dyn Ledger>,
    /// What was reserved; none where no limit holds.
    ticket: Option<Ticket>,
    subjects: Vec<Subject>,
    purse: Purse,
}

/// Where the attempts of a call take more of its limits, when one that has to be paid has failed and another is to be
/// made. Without limits there is always more.
#[derive(Clone, Default)]
pub(crate) struct Purse(Option<Arc<Taken>>);

struct Taken {
    ledger: Arc<dyn Ledger>,
    /// What one attempt may need, without the request, which is one however often it is sent.
    claim: Claim,
    /// How many attempts the bill's own reservation is for.
    first: usize,
    more: Mutex<Vec<Ticket>>,
}

/// What is held of limits in money beside a bill, until that is paid.
pub(crate) struct Held {
    ledger: Arc<dyn Ledger>,
    ticket: Ticket,
}

/// The most that a call may need.
struct Need {
    tokens: u64,
    money: Money,
}

/// Why a model whose price nobody knows is not asked where a limit of money holds: it would not hold. `None` where none
/// does.
fn without_price(model: &str, claim: &Claim) -> Option<ModelError> {
    let is_money = |(_, limit): &&(Subject, Limit)| limit.what == What::Money;
    let (subject, limit) = claim.limits.iter().find(is_money)?;
    let message = format!("`{subject}` may use {limit}, and nobody knows what `{model}` costs");
    let error = CallError::new(ErrorCode::QuotaExceeded, message)
        .with_hint("give the model a `price` in praxis.toml, or take the limit of money away");
    Some(ModelError::Limited(Box::new(error)))
}

/// The most that a model may cost, or why it is not asked.
fn most(
    model: &str,
    price: Option<Price>,
    (prompt, answer): (u64, u64),
    claim: &Claim,
) -> Result<Money, ModelError> {
    match price {
        Some(price) => Ok(price.most(prompt, answer)),
        None => without_price(model, claim).map_or(Ok(Money(0)), Err),
    }
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
        request: &mut Arc<ChatRequest>,
        cx: &CallContext,
    ) -> Result<Self, ModelError> {
        let claim = Claim::new(cx.payer(), cx.limits());
        if claim.limits.is_empty() {
            return Ok(Self::without_limits(ledger, claim));
        }
        let longest = request.sampling.max_tokens.unwrap_or(LONGEST_ANSWER);
        if request.sampling.max_tokens.is_none() {
            Arc::make_mut(request).sampling.max_tokens = Some(longest);
        }
        let tools = serde_json::to_vec(&request.tools).map_or(0, |tools| tools.len());
        let form = serde_json::to_vec(&request.constraint).map_or(0, |form| form.len());
        let mut messages = 0;
        for target in &plan.targets {
            messages = messages.max(target.most_of(request).await);
        }
        let (prompt, answer) = ((messages + tools + form) as u64, u64::from(longest));
        let mut money = Money(0);
        for target in &plan.targets {
            money = money.max(most(&target.name, target.price, (prompt, answer), &claim)?);
        }
        // A second model that is asked beside the first is paid, too.
        let times: u32 = if plan.hedge_after.is_some() { 2 } else { 1 };
        let need = Need {
            tokens: u64::from(times) * (prompt + answer),
            money: Money(money.0.saturating_mul(i64::from(times))),
        };
        let again = Claim {
            requests: 0,
            tokens: prompt + answer,
            money,
            ..claim.clone()
        };
        let mut bill = Self::reserved(ledger, claim, need, cx).await?;
        bill.purse = Purse::new(ledger, again, times as usize);
        Ok(bill)
    }

    /// Where the attempts take more.
    pub(crate) fn purse(&self) -> Purse {
        self.purse.clone()
    }

    /// The same for texts that become vectors, of so many tokens at most.
    ///
    /// # Errors
    /// As [`Bill::open`].
    pub(crate) async fn for_texts(
        ledger: &Arc<dyn Ledger>,
        tokens: u64,
        price: Option<Price>,
        model: &str,
        cx: &CallContext,
    ) -> Result<Self, ModelError> {
        let claim = Claim::new(cx.payer(), cx.limits());
        if claim.limits.is_empty() {
            return Ok(Self::without_limits(ledger, claim));
        }
        let money = most(model, price, (tokens, 0), &claim)?;
        let again = Claim {
            requests: 0,
            tokens,
            money,
            ..claim.clone()
        };
        let mut bill = Self::reserved(ledger, claim, Need { tokens, money }, cx).await?;
        bill.purse = Purse::new(ledger, again, 1);
        Ok(bill)
    }

    /// The same for audio whose length is not known yet: a request, and its money where it is known how much that is
    /// ([`Held`]).
    ///
    /// # Errors
    /// As [`Bill::open`].
    pub(crate) async fn for_audio(
        ledger: &Arc<dyn Ledger>,
        cx: &CallContext,
    ) -> Result<Self, ModelError> {
        let claim = Claim::new(cx.payer(), cx.limits());
        if claim.limits.is_empty() {
            return Ok(Self::without_limits(ledger, claim));
        }
        let (tokens, money) = (0, Money(0));
        Self::reserved(ledger, claim, Need { tokens, money }, cx).await
    }

    async fn reserved(
        ledger: &Arc<dyn Ledger>,
        claim: Claim,
        need: Need,
        cx: &CallContext,
    ) -> Result<Self, ModelError> {
        let claim = Claim {
            tokens: need.tokens,
            money: need.money,
            ..claim
        };
        let subjects = claim.subjects.clone();
        let reserved = ledger.reserve(claim).await;
        match &reserved {
            Ok(reserved) => cx.told().note(reserved.remaining),
            Err(LedgerError::Refused(refusal)) => cx.told().note(refusal.remaining),
            Err(LedgerError::Failed(_)) => {}
        }
        let reserved = reserved.map_err(|error| ModelError::Limited(Box::new(error.into())))?;
        Ok(Self {
            ledger: Arc::clone(ledger),
            ticket: Some(reserved.ticket),
            subjects,
            purse: Purse::default(),
        })
    }

    fn without_limits(ledger: &Arc<dyn Ledger>, claim: Claim) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            ticket: None,
            subjects: claim.subjects,
            purse: Purse::default(),
        }
    }

    /// Takes so much of all limits in money that hold for who pays, beside this bill.
    ///
    /// # Errors
    /// As [`Bill::open`].
    pub(crate) async fn hold(
        &self,
        money: Money,
        cx: &CallContext,
    ) -> Result<Option<Held>, ModelError> {
        let mut claim = Claim::new(cx.payer(), cx.limits());
        claim.limits.retain(|(_, limit)| limit.what == What::Money);
        if claim.limits.is_empty() || money <= Money(0) {
            return Ok(None);
        }
        (claim.requests, claim.money) = (0, money);
        let reserved = self.ledger.reserve(claim).await;
        let reserved = reserved.map_err(|error| ModelError::Limited(Box::new(error.into())))?;
        Ok(Some(Held {
            ledger: Arc::clone(&self.ledger),
            ticket: reserved.ticket,
        }))
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
        self.purse.give_back();
    }
}

impl Purse {
    /// That beside a reservation for so many attempts, each of which may need what the claim says.
    fn new(ledger: &Arc<dyn Ledger>, claim: Claim, first: usize) -> Self {
        Self(Some(Arc::new(Taken {
            ledger: Arc::clone(ledger),
            claim,
            first,
            more: Mutex::default(),
        })))
    }

    /// Sees to it that one attempt more than these `owed` ones is reserved for.
    ///
    /// # Errors
    /// [`ModelError::Limited`] where a limit has no room.
    pub(crate) async fn covers_one_more(&self, owed: usize) -> Result<(), ModelError> {
        let Some(taken) = &self.0 else {
            return Ok(());
        };
        while taken.first + taken.tickets().len() <= owed {
            let reserved = taken.ledger.reserve(taken.claim.clone()).await;
            let reserved = reserved.map_err(|error| ModelError::Limited(Box::new(error.into())))?;
            taken.tickets().push(reserved.ticket);
        }
        Ok(())
    }

    /// Gives it back: the bill is paid, and counts all of it.
    fn give_back(&self) {
        let Some(taken) = &self.0 else { return };
        for ticket in std::mem::take(&mut *taken.tickets()) {
            let _ = taken.ledger.give_back(ticket).now_or_never();
        }
    }
}

impl Taken {
    fn tickets(&self) -> MutexGuard<'_, Vec<Ticket>> {
        self.more.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Gives it back: the bill is paid, and counts.
    pub(crate) fn give_back(self) {
        let _ = self.ledger.give_back(self.ticket).now_or_never();
    }
}
