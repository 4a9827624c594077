//! From the parser's tree to the commands.

use std::panic::catch_unwind;

use brush_parser::ast::{
    self, AndOr, AndOrList, Command as Tree, CommandPrefixOrSuffixItem as Item, CompoundCommand,
    CompoundList, IoFileRedirectKind, IoFileRedirectTarget, IoRedirect, Pipeline, Program,
};
use brush_parser::word::{Parameter, ParameterExpr, WordPiece, WordPieceWithSource};
use brush_parser::{ParserOptions, TokenizerOptions};

use crate::runs;
use crate::script::{Command, Dir, Redirect, Script, Way};
use crate::word::Word;
use crate::{MAX_COMMANDS, MAX_DEPTH, unreadable};

/// Files that a redirection may always name: nothing is kept in them.
const SINKS: [&str; 5] = ["/dev/null", "/dev/stdout", "/dev/stderr", "/dev/stdin", "/dev/tty"];

/// Collects what a line would run.
#[derive(Debug, Default)]
pub struct Walk {
    /// What was found.
    pub script: Script,
    pub(crate) dir: Dir,
}

impl Walk {
    /// Reads a line at a depth.
    pub fn line(&mut self, line: &str, depth: usize) {
        if let Some(why) = unreadable(line) {
            return self.opaque(why);
        }
        if depth > MAX_DEPTH {
            return self.opaque("it nests too much");
        }
        match parse(line) {
            Ok(program) => program.complete_commands.iter().for_each(|list| self.list(list, depth)),
            Err(why) => self.opaque(why),
        }
    }

    /// Says that something is not understood.
    pub(crate) fn opaque(&mut self, why: impl Into<String>) {
        let why = why.into();
        if self.script.opaque.len() < MAX_COMMANDS && !self.script.opaque.contains(&why) {
            self.script.opaque.push(why);
        }
    }

    fn list(&mut self, list: &CompoundList, depth: usize) {
        for item in &list.0 {
            self.and_or(&item.0, depth);
            // Whether a `cd` in there worked is not known any more.
            self.unsettle();
        }
    }

    fn and_or(&mut self, list: &AndOrList, depth: usize) {
        self.pipeline(&list.first, depth);
        for next in &list.additional {
            match next {
                AndOr::And(pipeline) => self.pipeline(pipeline, depth),
                AndOr::Or(pipeline) => {
                    self.unsettle();
                    self.pipeline(pipeline, depth);
                }
            }
        }
    }

    fn unsettle(&mut self) {
        if self.dir != Dir::Start {
            self.dir = Dir::Unknown;
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, depth: usize) {
        let start = self.dir.clone();
        let mut from = None;
        for command in &pipeline.seq {
            let first = self.script.commands.len();
            self.command(command, depth);
            if let Some(source) = from.take() {
                for command in &mut self.script.commands[first..] {
                    command.piped_from.get_or_insert_with(|| String::clone(&source));
                }
            }
            from = self.script.commands.get(first).map(|command| command.program().to_owned());
        }
        if pipeline.seq.len() > 1 {
            self.dir = start;
        } else if pipeline.bang {
            self.unsettle();
        }
    }

    fn command(&mut self, command: &Tree, depth: usize) {
        if self.script.commands.len() >= MAX_COMMANDS {
            return self.opaque(format!("it has more than {MAX_COMMANDS} commands"));
        }
        match command {
            Tree::Simple(simple) => self.simple(simple, depth),
            Tree::Compound(compound, redirects) => {
                let found = self.redirects(redirects.iter().flat_map(|list| &list.0), depth);
                self.script.redirects.extend(found);
                self.compound(compound, depth);
            }
            Tree::Function(_) => self.opaque("it defines a function, so a name may mean something else"),
            Tree::ExtendedTest(..) => self.opaque("`[[ … ]]` evaluates its words"),
        }
    }

    fn compound(&mut self, compound: &CompoundCommand, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.opaque("it nests too much");
        }
        let depth = depth + 1;
        match compound {
            CompoundCommand::Arithmetic(_) | CompoundCommand::ArithmeticForClause(_) => {
                self.opaque("arithmetic can run commands");
            }
            CompoundCommand::Coprocess(_) => self.opaque("it starts a coprocess"),
            CompoundCommand::BraceGroup(group) => self.list(&group.list, depth),
            CompoundCommand::Subshell(subshell) => self.subshell(&subshell.list, depth),
            CompoundCommand::ForClause(clause) => {
                clause.values.iter().flatten().for_each(|word| self.look(word, depth));
                self.unsettle();
                self.list(&clause.body.list, depth);
            }
            CompoundCommand::CaseClause(clause) => {
                self.look(&clause.value, depth);
                for case in &clause.cases {
                    case.patterns.iter().for_each(|word| self.look(word, depth));
                    case.cmd.iter().for_each(|list| self.list(list, depth));
                }
            }
            CompoundCommand::IfClause(clause) => {
                self.list(&clause.condition, depth);
                self.list(&clause.then, depth);
                for branch in clause.elses.iter().flatten() {
                    branch.condition.iter().for_each(|list| self.list(list, depth));
                    self.list(&branch.body, depth);
                }
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0, depth);
                self.list(&clause.1.list, depth);
            }
        }
    }

    fn subshell(&mut self, list: &CompoundList, depth: usize) {
        let dir = self.dir.clone();
        self.list(list, depth);
        self.dir = dir;
    }

    fn simple(&mut self, simple: &ast::SimpleCommand, depth: usize) {
        let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
        let (mut words, mut env, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        for item in prefix {
            match item {
                Item::AssignmentWord(assignment, word) => {
                    env.push(assignment.name.to_string());
                    self.look(word, depth);
                }
                Item::IoRedirect(redirect) => redirects.push(redirect),
                Item::Word(word) => words.push(self.word(word, depth)),
                Item::ProcessSubstitution(_, subshell) => self.process(subshell, depth),
            }
        }
        words.extend(simple.word_or_name.iter().map(|word| self.word(word, depth)));
        for item in suffix {
            match item {
                Item::Word(word) | Item::AssignmentWord(_, word) => words.push(self.word(word, depth)),
                Item::IoRedirect(redirect) => redirects.push(redirect),
                Item::ProcessSubstitution(_, subshell) => {
                    self.process(subshell, depth);
                    words.push(Word::unknown("<(…)"));
                }
            }
        }
        let redirects = self.redirects(redirects.into_iter(), depth);
        if words.is_empty() {
            if !env.is_empty() {
                self.opaque("it sets a variable, so what follows may mean something else");
            }
            return self.script.redirects.extend(redirects);
        }
        let command = Command {
            words,
            env,
            redirects,
            dir: self.dir.clone(),
            piped_from: None,
            run_by: Vec::new(),
            exact_only: None,
        };
        runs::take(self, command, depth);
    }

    fn process(&mut self, subshell: &ast::SubshellCommand, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.opaque("it nests too much");
        }
        self.subshell(&subshell.list, depth + 1);
    }

    fn redirects<'a>(&mut self, list: impl Iterator<Item = &'a IoRedirect>, depth: usize) -> Vec<Redirect> {
        let mut found = Vec::new();
        for redirect in list {
            match redirect {
                IoRedirect::File(_, kind, target) => self.file(kind, target, depth, &mut found),
                IoRedirect::OutputAndError(word, _) => self.target(Way::Write, word, depth, &mut found),
                IoRedirect::HereString(_, word) => self.look(word, depth),
                IoRedirect::HereDocument(_, document) => {
                    if document.requires_expansion && document.doc.value.contains(['$', '`']) {
                        self.opaque("its here-document is expanded");
                    }
                }
            }
        }
        found
    }

    fn file(
        &mut self,
        kind: &IoFileRedirectKind,
        target: &IoFileRedirectTarget,
        depth: usize,
        found: &mut Vec<Redirect>,
    ) {
        let way = match kind {
            IoFileRedirectKind::Read | IoFileRedirectKind::DuplicateInput => Way::Read,
            IoFileRedirectKind::Write
            | IoFileRedirectKind::Append
            | IoFileRedirectKind::ReadAndWrite
            | IoFileRedirectKind::Clobber
            | IoFileRedirectKind::DuplicateOutput => Way::Write,
        };
        match target {
            IoFileRedirectTarget::Filename(word) => self.target(way, word, depth, found),
            IoFileRedirectTarget::Fd(_) => {}
            IoFileRedirectTarget::ProcessSubstitution(_, subshell) => self.process(subshell, depth),
            IoFileRedirectTarget::Duplicate(word) => {
                let fd = word.value.trim_end_matches('-');
                // `>&word` names a file where the word is no number.
                if !fd.chars().all(|c| c.is_ascii_digit()) {
                    self.target(way, word, depth, found);
                }
            }
        }
    }

    fn target(&mut self, way: Way, word: &ast::Word, depth: usize, found: &mut Vec<Redirect>) {
        let path = self.word(word, depth);
        if path.is_literal() && SINKS.contains(&path.text.as_str()) {
            return;
        }
        if !path.is_literal() {
            self.opaque("the file of a redirection is not known");
        }
        if path.text.starts_with("/dev/tcp/") || path.text.starts_with("/dev/udp/") {
            self.opaque("a redirection opens a connection");
        }
        found.push(Redirect { way, path, dir: self.dir.clone() });
    }

    fn word(&mut self, word: &ast::Word, depth: usize) -> Word {
        self.look(word, depth);
        Word::read(&word.value)
    }

    /// Reads the commands that are substituted into a word.
    fn look(&mut self, word: &ast::Word, depth: usize) {
        if Word::read(&word.value).is_known() {
            return;
        }
        match catch_unwind(|| brush_parser::word::parse(&word.value, &options())) {
            Ok(Ok(pieces)) => self.pieces(&pieces, depth),
            Ok(Err(_)) | Err(_) => self.opaque("a word cannot be read"),
        }
    }

    fn pieces(&mut self, pieces: &[WordPieceWithSource], depth: usize) {
        for piece in pieces {
            match &piece.piece {
                WordPiece::Text(text) => {
                    // What the parser sees as plain text must not hold what a shell would run.
                    if text.contains(['$', '`', '(', '<', '>']) && text != "$" {
                        self.opaque("a word cannot be read");
                    }
                }
                WordPiece::SingleQuotedText(_)
                | WordPiece::AnsiCQuotedText(_)
                | WordPiece::EscapeSequence(_)
                | WordPiece::TildeExpansion(_) => {}
                WordPiece::DoubleQuotedSequence(inner) | WordPiece::GettextDoubleQuotedSequence(inner) => {
                    self.pieces(inner, depth);
                }
                WordPiece::ParameterExpansion(ParameterExpr::Parameter { parameter, indirect: false }) => {
                    self.parameter(parameter);
                }
                WordPiece::ParameterExpansion(_) => self.opaque("an expansion can run commands"),
                WordPiece::ArithmeticExpression(inner) => {
                    if inner.value.contains(['$', '`', '[', '=', '+', '-']) {
                        self.opaque("arithmetic can run commands");
                    }
                }
                WordPiece::CommandSubstitution(line) => self.substitution(line, depth),
                WordPiece::BackquotedCommandSubstitution(line) if line.contains('\\') => {
                    self.opaque("backquotes with a backslash in them are read twice");
                }
                WordPiece::BackquotedCommandSubstitution(line) => self.substitution(line, depth),
            }
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        match parameter {
            Parameter::Positional(_) | Parameter::Special(_) | Parameter::Named(_) => {}
            Parameter::NamedWithIndex { .. } | Parameter::NamedWithAllIndices { .. } => {
                self.opaque("an index is arithmetic, which can run commands");
            }
        }
    }

    fn substitution(&mut self, line: &str, depth: usize) {
        let dir = self.dir.clone();
        if !line.trim().is_empty() {
            self.line(line, depth + 1);
        }
        self.dir = dir;
    }
}

/// No extended globs: a shell that runs a line has them off unless it was told otherwise.
fn options() -> ParserOptions {
    ParserOptions { enable_extended_globbing: false, ..ParserOptions::default() }
}

fn parse(line: &str) -> Result<Program, String> {
    let tokens = TokenizerOptions { enable_extended_globbing: false, ..TokenizerOptions::default() };
    // A line comes from an agent, and no line may take the daemon's task down.
    let parsed = catch_unwind(|| {
        let tokens = brush_parser::uncached_tokenize_str(line, &tokens).map_err(|error| error.to_string())?;
        brush_parser::parse_tokens(&tokens, &options()).map_err(|error| error.to_string())
    });
    match parsed {
        Ok(parsed) => parsed.map_err(|error| format!("it cannot be read: {error}")),
        Err(_) => Err("it cannot be read".to_owned()),
    }
}
