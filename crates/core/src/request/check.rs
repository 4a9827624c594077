//! What may be asked, and what answers it.

use super::{
    Answer, Choice, Kind, MAX_TAG, MAX_TAG_BYTES, MAX_TAGS, MAX_TEXT_BYTES, MAX_TITLE, MAX_TOOL, OnTimeout,
    Opened, raw_bytes,
};
use crate::raw::Raw;
use crate::refused::Refused;
use crate::text::{check_name, check_size};

impl Opened {
    /// What bounds ask for, and nothing more.
    pub(super) fn check_sizes(&self) -> Result<(), Refused> {
        if self.title.is_empty() || self.title.chars().count() > MAX_TITLE {
            return Err(Refused::invalid("title", format!("must have 1 to {MAX_TITLE} characters")));
        }
        let tags = self.tags.iter().flatten().map(|tag| tag.len() + 1).sum();
        check_size("tags", tags, MAX_TAG_BYTES)?;
        check_size("question", self.question.len(), MAX_TEXT_BYTES)?;
        check_size("context", raw_bytes(self.context.as_ref()), MAX_TEXT_BYTES)
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        check_name("title", &self.title, MAX_TITLE)?;
        check_size("question", self.question.len(), MAX_TEXT_BYTES)?;
        check_size("context", raw_bytes(self.context.as_ref()), MAX_TEXT_BYTES)?;
        check_size("tool_call", raw_bytes(self.tool_call.as_ref()), MAX_TEXT_BYTES)?;
        check_size("schema", raw_bytes(self.schema.as_ref()), MAX_TEXT_BYTES)?;
        if self.schema.as_ref().is_some_and(|schema| !schema.is_object()) {
            return Err(Refused::invalid("schema", "must be an object"));
        }
        if let Some(tool) = &self.tool {
            check_name("tool", tool, MAX_TOOL)?;
        }
        self.check_tags()?;
        self.check_options()?;
        if let OnTimeout::Default(answer) = &self.on_timeout {
            self.accept(answer)?;
        }
        if self.on_timeout != OnTimeout::Wait && self.deadline.is_none() {
            return Err(Refused::invalid("on_timeout", "needs a deadline"));
        }
        Ok(())
    }

    fn check_tags(&self) -> Result<(), Refused> {
        let tags = self.tags.as_deref().unwrap_or_default();
        if tags.len() > MAX_TAGS {
            return Err(Refused::invalid("tags", format!("must be at most {MAX_TAGS}")));
        }
        tags.iter().try_for_each(|tag| check_name("tags", tag, MAX_TAG))
    }

    fn check_options(&self) -> Result<(), Refused> {
        if self.kind == Kind::Permission && self.options.is_empty() {
            return Err(Refused::invalid("options", "must not be empty for a permission"));
        }
        if self.options.len() > 100 {
            return Err(Refused::invalid("options", "must be at most 100"));
        }
        for (i, choice) in self.options.iter().enumerate() {
            check_size("options", choice.id.len().max(choice.name.len()), 4_096)?;
            if self.options[..i].iter().any(|earlier| earlier.id == choice.id) {
                return Err(Refused::invalid(format!("options[{i}].id"), "must differ from the others"));
            }
        }
        Ok(())
    }

    /// Checks an answer against what was asked. An option may be given by its id or its name, in any case.
    ///
    /// # Errors
    /// `Invalid`, naming what would be accepted.
    pub fn accept(&self, answer: &Answer) -> Result<Answer, Refused> {
        check_size("text", answer.text.as_ref().map_or(0, String::len), MAX_TEXT_BYTES)?;
        check_size("fields", answer.fields.as_ref().map_or(0, |raw| raw.get().len()), MAX_TEXT_BYTES)?;
        if answer.responder.as_ref().is_some_and(|name| name.chars().count() > MAX_TITLE) {
            return Err(Refused::invalid("responder", format!("must be at most {MAX_TITLE} characters")));
        }
        let option = answer.option.as_deref().map(|given| self.choice(given)).transpose()?;
        let says = answer.text.as_ref().is_some_and(|text| !text.is_empty());
        match self.kind {
            Kind::Permission if option.is_none() => Err(self.wants_option()),
            Kind::Question if option.is_none() && !says => Err(Refused::invalid("text", "must not be empty")),
            Kind::Form if !answer.fields.as_ref().is_some_and(Raw::is_object) => {
                Err(Refused::invalid("fields", "must be an object"))
            }
            Kind::Permission | Kind::Question | Kind::Form => {
                let option = option.map(|choice| choice.id.clone());
                Ok(Answer { option, ..answer.clone() })
            }
        }
    }

    fn choice(&self, given: &str) -> Result<&Choice, Refused> {
        let by_id = self.options.iter().find(|choice| choice.id == given);
        let loosely = |choice: &&Choice| {
            choice.id.eq_ignore_ascii_case(given) || choice.name.eq_ignore_ascii_case(given)
        };
        by_id.or_else(|| self.options.iter().find(loosely)).ok_or_else(|| self.wants_option())
    }

    fn wants_option(&self) -> Refused {
        let ids: Vec<_> = self.options.iter().map(|choice| choice.id.as_str()).collect();
        Refused::invalid("option", format!("must be one of: {}", ids.join(", ")))
    }
}
