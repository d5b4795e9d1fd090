//! A turn of a response as a state machine without I/O: pieces of models and results of searches and of code go in,
//! events come out in OpenAI's order, and items gather. Left out: whom to ask, what to search and to run (`run`).

mod words;

use praxis_core::tool::{CALL, MAX_TOOL_CALLS};
use praxis_core::{FinishReason, Message, Part, Role, ToolCall, ToolCallDelta, Usage, ids};
use serde_json::{Map, Value, json};

use super::event::{At, Event};
use super::interpreter::{self, Came};
use super::item::{Call, CodeRun, FileSearch, Found, Include, Item, Status};
use super::search::{self, Source};
use crate::routes::chat::Piece;

/// Bytes of all that models write in a response, at most; what is longer is cut off.
const MAX_OUTPUT: usize = 8 << 20;

/// What of a turn the request decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// Whether what the model thinks is told as a summary.
    pub summary: bool,
    /// How many calls of built-in tools may be made, where searching is offered.
    pub searches: Option<u32>,
    /// The same, where running code is offered.
    pub runs: Option<u32>,
    /// What is shown on demand.
    pub include: Include,
    /// This server's address as the client wrote it, for links.
    pub origin: String,
}

/// A turn so far.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    manner: Manner,
    output: Vec<Item>,
    open: Open,
    /// Calls of this round, in the order in which they began.
    wishes: Vec<Wish>,
    /// Text of this round.
    said: String,
    sources: Vec<Source>,
    /// Calls of built-in tools so far.
    searches: u32,
    bytes: usize,
    usage: Usage,
    /// What OpenAI has no words for.
    praxis: Map<String, Value>,
}

/// The item that is being written, by its place.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Thought(usize),
    Said(usize),
}

/// A call that the model writes.
#[derive(Debug, Default)]
struct Wish {
    /// Its number among the calls of the round, as the model counts.
    number: usize,
    call: ToolCall,
    slot: Slot,
}

/// What has become of a call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// It has no name yet.
    #[default]
    Nameless,
    /// It is the client's, an item of that place.
    Function(usize),
    /// It is a search, or code to be run, an item of that place.
    Search(usize),
    /// It is one too many of them.
    Refused,
}

/// How a turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With all that there was to say, or with calls for the client.
    Whole,
    /// At the limit of its length.
    TooLong,
    /// Where a provider withheld the rest.
    Filtered,
}

/// What is to be done when a model has said its piece.
#[derive(Debug, PartialEq)]
pub(crate) struct Next {
    /// Calls of built-in tools that it wants made: searches, and code.
    pub searches: Vec<Wanted>,
    /// What comes then.
    pub then: Then,
}

/// A search, or code to be run, that a model wants made; the call's name says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The place of its item; none for one too many, which is not made.
    pub place: Option<usize>,
    /// The call.
    pub call: ToolCall,
}

/// What comes after the searches.
#[derive(Debug, PartialEq)]
pub(crate) enum Then {
    /// The turn is over.
    End(End),
    /// The model is asked again, with this message of its own and what was found.
    Ask(Message),
}

impl Turn {
    /// A turn of which nothing was said. Files that its prompt tells of may be cited.
    pub fn new(manner: Manner, sources: Vec<Source>) -> Self {
        Self {
            manner,
            sources,
            ..Self::default()
        }
    }

    /// Takes a piece of an answer that is neither its end nor an error.
    pub fn push(&mut self, piece: Piece) -> Vec<Event> {
        let mut events = Vec::new();
        match piece {
            Piece::Reasoning(text) => self.think(&text, &mut events),
            Piece::Text { text, logprobs } => self.say(&text, logprobs, &mut events),
            Piece::ToolCall(delta) => self.call(delta, &mut events),
            Piece::Cited { text, citations } => self.cite(text, &citations, &mut events),
            Piece::Concluded { confidence } => {
                if let Some(confidence) = confidence {
                    self.note("confidence", json!(confidence));
                }
            }
            Piece::Done { .. } | Piece::Failed(_) => {}
        }
        events
    }

    /// Whether the answer is so long that it is cut off.
    pub fn is_full(&self) -> bool {
        self.bytes > MAX_OUTPUT
    }

    /// Notes what a model used.
    pub fn spend(&mut self, usage: Usage) {
        self.usage += usage;
    }

    /// What models used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Notes something that OpenAI has no words for.
    pub fn note(&mut self, name: &str, value: Value) {
        self.praxis.insert(name.to_owned(), value);
    }

    /// Lets no more calls of built-in tools be made.
    pub fn stop_searching(&mut self) {
        self.manner.searches = self.manner.searches.map(|_| 0);
        self.manner.runs = self.manner.runs.map(|_| 0);
    }

    /// The mark of the next passage that is found.
    pub fn next_mark(&self) -> usize {
        self.sources.len() + 1
    }

    /// Ends a model's piece.
    pub fn finish(&mut self, finish: FinishReason) -> (Vec<Event>, Next) {
        let end = match finish {
            FinishReason::Stop | FinishReason::ToolCalls => End::Whole,
            FinishReason::Length => End::TooLong,
            FinishReason::ContentFilter => End::Filtered,
        };
        let cut = end != End::Whole;
        let mut events = Vec::new();
        let status = match cut {
            true => Status::Incomplete,
            false => Status::Completed,
        };
        self.close(status, &mut events);
        let (mut searches, mut is_clients) = (Vec::new(), false);
        for wish in std::mem::take(&mut self.wishes) {
            let place = match wish.slot {
                Slot::Nameless => continue,
                Slot::Function(place) => {
                    is_clients = true;
                    self.close_call(place, cut, &mut events);
                    continue;
                }
                Slot::Search(place) if cut => {
                    self.cut_search(place, &mut events);
                    continue;
                }
                Slot::Search(place) => Some(place),
                Slot::Refused => None,
            };
            let call = wish.call;
            searches.push(Wanted { place, call });
        }
        let said = std::mem::take(&mut self.said);
        let then = match cut || is_clients || searches.is_empty() {
            true => Then::End(end),
            false => Then::Ask(asking(said, &searches)),
        };
        (events, Next { searches, then })
    }

    /// A search begins.
    pub fn searching(&mut self, place: usize) -> Vec<Event> {
        match self.search_at(place) {
            Some(search) => {
                search.status = Status::Searching;
                vec![at(&search.id, place).searching()]
            }
            None => Vec::new(),
        }
    }

    /// A search has ended: with passages, or in vain where there are none at all.
    pub fn searched(
        &mut self,
        place: usize,
        queries: Vec<String>,
        found: Option<Vec<Found>>,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(Item::FileSearchCall(search)) = self.output.get_mut(place) else {
            return events;
        };
        search.queries = queries;
        search.status = match &found {
            Some(found) => {
                self.sources.extend(search::sources(found));
                events.push(at(&search.id, place).searched());
                Status::Completed
            }
            None => Status::Failed,
        };
        search.results = found;
        self.done(place, &mut events);
        events
    }

    /// Code begins to run.
    pub fn interpreting(&mut self, place: usize, code: &str) -> Vec<Event> {
        let Some(Item::CodeInterpreterCall(run)) = self.output.get_mut(place) else {
            return Vec::new();
        };
        run.code = Some(code.to_owned());
        run.status = Status::Interpreting;
        let at = at(&run.id, place);
        vec![at.code_delta(code), at.code_done(code), at.interpreting()]
    }

    /// Code has run, or did not run at all.
    pub fn interpreted(&mut self, place: usize, came: Option<Came>) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(Item::CodeInterpreterCall(run)) = self.output.get_mut(place) else {
            return events;
        };
        run.status = match came {
            Some(came) => {
                run.container_id = came.container;
                run.outputs = Some(came.outputs);
                events.push(at(&run.id, place).interpreted());
                Status::Completed
            }
            None => Status::Failed,
        };
        self.done(place, &mut events);
        events
    }

    /// Ends the turn: an answer of nothing is an empty message.
    pub fn end(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let is_answer = |item: &Item| matches!(item, Item::Message(_) | Item::FunctionCall(_));
        if !self.output.iter().any(is_answer) {
            self.saying(&mut events);
            self.close(Status::Completed, &mut events);
        }
        events
    }

    /// What came of it: items, and what OpenAI has no words for. What is not whole is cut off.
    pub fn into_parts(mut self) -> (Vec<Item>, Map<String, Value>) {
        self.output.iter_mut().for_each(Item::broken_off);
        (self.output, self.praxis)
    }

    fn call(&mut self, delta: ToolCallDelta, events: &mut Vec<Event>) {
        self.close(Status::Completed, events);
        let mut wishes = self.wishes.iter();
        let known = wishes.position(|wish| wish.number == delta.index);
        let known = known.unwrap_or(self.wishes.len());
        if known == MAX_TOOL_CALLS {
            return;
        }
        if known == self.wishes.len() {
            self.wishes.push(Wish {
                number: delta.index,
                ..Wish::default()
            });
        }
        let Some(wish) = self.wishes.get_mut(known) else {
            return;
        };
        self.bytes += delta.arguments.len();
        let call = &mut wish.call;
        call.arguments.push_str(&delta.arguments);
        if let Some(id) = delta.id.filter(|_| call.id.is_empty()) {
            call.id = id;
        }
        if let Some(name) = delta.name.filter(|_| call.name.is_empty()) {
            call.name = name;
        }
        if call.name.is_empty() {
            return;
        }
        let slot = wish.slot;
        match slot {
            Slot::Nameless => self.begin(known, events),
            Slot::Function(place) => self.write_arguments(place, &delta.arguments, events),
            Slot::Search(_) | Slot::Refused => {}
        }
    }

    /// Makes an item of a call whose name is known.
    fn begin(&mut self, known: usize, events: &mut Vec<Event>) {
        let place = self.output.len();
        let Some(wish) = self.wishes.get_mut(known) else {
            return;
        };
        if wish.call.id.is_empty() {
            wish.call.id = ids::generate(CALL);
        }
        let most = match wish.call.name.as_str() {
            search::TOOL => self.manner.searches,
            interpreter::TOOL => self.manner.runs,
            _ => None,
        };
        let item = match most {
            Some(most) if self.searches >= most => {
                wish.slot = Slot::Refused;
                return;
            }
            Some(_) if wish.call.name == interpreter::TOOL => {
                self.searches += 1;
                wish.slot = Slot::Search(place);
                Item::CodeInterpreterCall(CodeRun {
                    id: ids::generate("ci_"),
                    status: Status::InProgress,
                    call_id: Some(wish.call.id.clone()),
                    ..CodeRun::default()
                })
            }
            Some(_) => {
                self.searches += 1;
                wish.slot = Slot::Search(place);
                Item::FileSearchCall(FileSearch {
                    id: ids::generate("fs_"),
                    status: Status::InProgress,
                    call_id: Some(wish.call.id.clone()),
                    ..FileSearch::default()
                })
            }
            None => {
                wish.slot = Slot::Function(place);
                Item::FunctionCall(Call {
                    id: ids::generate("fc_"),
                    status: Status::InProgress,
                    call_id: wish.call.id.clone(),
                    name: wish.call.name.clone(),
                    arguments: String::new(),
                })
            }
        };
        let arguments = wish.call.arguments.clone();
        events.push(Event::item_added(place, &item, self.manner.include));
        match most {
            Some(_) => {
                let at = at(item.id(), place);
                events.push(match item {
                    Item::CodeInterpreterCall(_) => at.code_begun(),
                    _ => at.search_begun(),
                });
                self.output.push(item);
            }
            None => {
                self.output.push(item);
                self.write_arguments(place, &arguments, events);
            }
        }
    }

    fn write_arguments(&mut self, place: usize, more: &str, events: &mut Vec<Event>) {
        if let Some(Item::FunctionCall(call)) = self.output.get_mut(place)
            && !more.is_empty()
        {
            call.arguments.push_str(more);
            events.push(at(&call.id, place).arguments_delta(more));
        }
    }

    fn close_call(&mut self, place: usize, cut: bool, events: &mut Vec<Event>) {
        let Some(Item::FunctionCall(call)) = self.output.get_mut(place) else {
            return;
        };
        let is_whole = !cut || serde_json::from_str::<Value>(&call.arguments).is_ok();
        call.status = match is_whole {
            true => Status::Completed,
            false => Status::Incomplete,
        };
        events.push(at(&call.id, place).arguments_done(&call.name, &call.arguments));
        self.done(place, events);
    }

    fn cut_search(&mut self, place: usize, events: &mut Vec<Event>) {
        match self.output.get_mut(place) {
            Some(Item::FileSearchCall(search)) => search.status = Status::Incomplete,
            Some(Item::CodeInterpreterCall(run)) => run.status = Status::Incomplete,
            _ => return,
        }
        self.done(place, events);
    }

    fn search_at(&mut self, place: usize) -> Option<&mut FileSearch> {
        match self.output.get_mut(place)? {
            Item::FileSearchCall(search) => Some(search),
            _ => None,
        }
    }

    fn done(&self, place: usize, events: &mut Vec<Event>) {
        if let Some(item) = self.output.get(place) {
            events.push(Event::item_done(place, item, self.manner.include));
        }
    }
}

/// What the model said when it wanted searches made.
fn asking(said: String, searches: &[Wanted]) -> Message {
    let content = match said.is_empty() {
        true => Vec::new(),
        false => vec![Part::Text(said)],
    };
    Message {
        tool_calls: searches.iter().map(|one| one.call.clone()).collect(),
        ..Message::of_parts(Role::Assistant, content)
    }
}

fn at(item: &str, index: usize) -> At<'_> {
    At { item, index }
}

#[cfg(test)]
mod tests;
