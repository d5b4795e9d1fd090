//! What a model thinks and says: reasoning items and messages, piece by piece. Left out: calls (`turn`).

use praxis_core::{Citation, TokenLogprob, ids};
use serde_json::json;

use super::{Event, Item, Open, Status, Turn, at, search};
use crate::responses::item::{
    Aloud, Annotation, Content, Logprob, OutputText, Said, Speaker, Summary, Thought,
};
use crate::routes::chat::marks;

impl Turn {
    pub(super) fn think(&mut self, more: &str, events: &mut Vec<Event>) {
        if more.is_empty() {
            return;
        }
        let place = match self.open {
            Open::Thought(place) => place,
            Open::Said(_) | Open::Nothing => self.begin_thought(events),
        };
        self.bytes += more.len();
        let Some(Item::Reasoning(thought)) = self.output.get_mut(place) else {
            return;
        };
        let at = at(&thought.id, place);
        if let Some(Summary::SummaryText { text }) = thought.summary.last_mut() {
            text.push_str(more);
            events.push(at.summary_delta(more));
        } else if let Some(Aloud::ReasoningText { text }) = thought.content.last_mut() {
            text.push_str(more);
            events.push(at.thought_delta(more));
        }
    }

    fn begin_thought(&mut self, events: &mut Vec<Event>) -> usize {
        self.close(Status::Completed, events);
        let place = self.output.len();
        let thought = Thought {
            id: ids::generate("rs_"),
            status: Status::InProgress,
            ..Thought::default()
        };
        let mut begun = thought.clone();
        let text = String::new();
        let item = Item::Reasoning(thought);
        events.push(Event::item_added(place, &item, self.manner.include));
        match self.manner.summary {
            true => {
                events.push(at(item.id(), place).summary_part_added());
                begun.summary.push(Summary::SummaryText { text });
            }
            false => {
                let part = Aloud::ReasoningText { text };
                events.push(at(item.id(), place).part_added(json!(part)));
                begun.content.push(part);
            }
        }
        self.output.push(Item::Reasoning(begun));
        self.open = Open::Thought(place);
        place
    }

    pub(super) fn say(&mut self, more: &str, logprobs: Vec<TokenLogprob>, events: &mut Vec<Event>) {
        if more.is_empty() && logprobs.is_empty() {
            return;
        }
        let place = self.saying(events);
        self.bytes += more.len();
        self.said.push_str(more);
        let Some(Item::Message(said)) = self.output.get_mut(place) else {
            return;
        };
        if let Some(Content::OutputText(output)) = said.content.first_mut() {
            let logprobs: Vec<Logprob> = logprobs.into_iter().map(Logprob::from).collect();
            events.push(at(&said.id, place).text_delta(more, &logprobs));
            output.text.push_str(more);
            output.logprobs.extend(logprobs);
        }
    }

    /// The message that is being said, or a new one.
    pub(super) fn saying(&mut self, events: &mut Vec<Event>) -> usize {
        if let Open::Said(place) = self.open {
            return place;
        }
        self.close(Status::Completed, events);
        let place = self.output.len();
        let mut said = Said {
            id: ids::generate("msg_"),
            status: Status::InProgress,
            role: Speaker::Assistant,
            content: Vec::new(),
        };
        let item = Item::Message(said.clone());
        events.push(Event::item_added(place, &item, self.manner.include));
        let part = Content::OutputText(OutputText::default());
        events.push(at(&said.id, place).part_added(json!(part)));
        said.content.push(part);
        self.output.push(Item::Message(said));
        self.open = Open::Said(place);
        place
    }

    /// Takes the final text of a function's answer.
    pub(super) fn cite(&mut self, text: String, citations: &[Citation], events: &mut Vec<Event>) {
        let place = self.saying(events);
        self.note("citations", json!(citations));
        let marks = marks(&self.manner.origin, &text, citations).into_iter();
        let annotations = marks.map(|mark| Annotation::UrlCitation {
            url: mark.url,
            title: mark.title,
            start_index: mark.start,
            end_index: mark.end,
        });
        if let Some(Item::Message(said)) = self.output.get_mut(place)
            && let Some(Content::OutputText(output)) = said.content.first_mut()
        {
            output.annotations = annotations.collect();
            output.text = text;
        }
    }

    /// Ends what is being written.
    pub(super) fn close(&mut self, status: Status, events: &mut Vec<Event>) {
        match std::mem::take(&mut self.open) {
            Open::Nothing => {}
            Open::Thought(place) => self.close_thought(place, status, events),
            Open::Said(place) => self.close_said(place, status, events),
        }
    }

    fn close_thought(&mut self, place: usize, status: Status, events: &mut Vec<Event>) {
        let Some(Item::Reasoning(thought)) = self.output.get_mut(place) else {
            return;
        };
        thought.status = status;
        let at = at(&thought.id, place);
        if let Some(Summary::SummaryText { text }) = thought.summary.last() {
            events.push(at.summary_done(text));
            events.push(at.summary_part_done(text, status));
        } else if let Some(part) = thought.content.last() {
            let Aloud::ReasoningText { text } = part;
            events.push(at.thought_done(text));
            events.push(at.part_done(json!(part)));
        }
        self.done(place, events);
    }

    fn close_said(&mut self, place: usize, status: Status, events: &mut Vec<Event>) {
        let Some(Item::Message(said)) = self.output.get_mut(place) else {
            return;
        };
        said.status = status;
        if let Some(part) = said.content.first_mut() {
            let at = at(&said.id, place);
            if let Content::OutputText(output) = part {
                if output.annotations.is_empty() {
                    output.annotations = search::citations(&output.text, &self.sources);
                }
                for (number, annotation) in output.annotations.iter().enumerate() {
                    events.push(at.annotated(number, annotation));
                }
                events.push(at.text_done(&output.text, &output.logprobs));
            }
            events.push(at.part_done(json!(part)));
        }
        self.done(place, events);
    }
}
