//! Reads one statement from its tokens. Queries and expressions are left to `sqlparser`; the rest is Flink's own.

use super::dialect::FlinkDialect;
use super::statement::{
    ColumnDefinition, ColumnKind, CreateTable, CreateView, ExplainDetail, Insert, ObjectKind, Show, Statement, WatermarkDefinition,
};
use super::text::SqlText;
use super::type_parser::parse_type;
use brisk_base::ids::JobId;
use brisk_base::{Error, Result};
use brisk_core::job::StopMode;
use datafusion_sql::sqlparser::ast::{Ident, Query};
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use std::collections::BTreeMap;

/// What statements begin with, for suggestions.
const STATEMENTS: [&str; 14] =
    ["BEGIN", "CREATE", "DESC", "DESCRIBE", "DROP", "EXECUTE", "EXPLAIN", "INSERT", "RESET", "SELECT", "SET", "SHOW", "STOP", "WITH"];

/// Reads a statement.
pub(super) fn parse(text: &SqlText, tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    let dialect = FlinkDialect;
    let parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let mut reader = StatementReader { text, parser };
    let statement = reader.statement()?;
    reader.end()?;
    Ok(statement)
}

struct StatementReader<'a> {
    text: &'a SqlText,
    parser: Parser<'a>,
}

impl<'a> StatementReader<'a> {
    fn statement(&mut self) -> Result<Statement> {
        let first = self.parser.peek_token();
        let word = match &first.token {
            Token::Word(word) => word.value.to_ascii_uppercase(),
            Token::LParen => return self.query().map(Statement::Query),
            other => return Err(self.at(&first, &format!("'{other}' begins no statement"))),
        };
        if matches!(&*word, "SELECT" | "WITH" | "VALUES") {
            return self.query().map(Statement::Query);
        }
        self.parser.next_token();
        match &*word {
            "CREATE" => self.create(),
            "DROP" => self.drop(),
            "INSERT" => self.insert().map(Statement::Insert),
            "EXECUTE" if self.word("STATEMENT") => self.statement_set(),
            "EXECUTE" => self.statement(),
            "BEGIN" if self.word("STATEMENT") => self.statement_set(),
            "EXPLAIN" => {
                let details = self.explain_details()?;
                let statement = if self.word("STATEMENT") { self.statement_set()? } else { self.statement()? };
                Ok(Statement::Explain(details, Box::new(statement)))
            }
            "SET" => self.set(),
            "RESET" => Ok(Statement::Reset(if self.is_end() { None } else { Some(self.option_text()?) })),
            "SHOW" => self.show(),
            "DESCRIBE" | "DESC" => self.describe(),
            "STOP" => self.stop(),
            _ => {
                let near = nearest(&word, STATEMENTS).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                Err(self.at(&first, &format!("'{word}' begins no statement{near}")))
            }
        }
    }

    /// `PLAN FOR`, or a list of details; perhaps nothing.
    fn explain_details(&mut self) -> Result<Vec<ExplainDetail>> {
        if self.word("PLAN") {
            return self.expect_word("FOR").map(|()| Vec::new());
        }
        let mut details = Vec::new();
        loop {
            match ExplainDetail::ALL.into_iter().find(|(word, _)| self.word(word)) {
                Some((_, detail)) => details.push(detail),
                None => {
                    let next = self.parser.peek_token();
                    let begins = || STATEMENTS.into_iter().chain(["STATEMENT", "VALUES"]);
                    let is_statement = |word: &str| begins().any(|known| known.eq_ignore_ascii_case(word));
                    let word = match &next.token {
                        Token::Word(word) if !is_statement(&word.value) || !details.is_empty() => word.value.to_ascii_uppercase(),
                        _ => return Ok(details),
                    };
                    let near = nearest(&word, ExplainDetail::ALL.map(|(word, _)| word).into_iter().chain(begins()));
                    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                    return Err(self.at(&next, &format!("'{word}' is neither a detail of EXPLAIN nor a statement{near}")));
                }
            }
            if !self.parser.consume_token(&Token::Comma) {
                return Ok(details);
            }
        }
    }

    fn create(&mut self) -> Result<Statement> {
        let _ = self.word("TEMPORARY");
        let next = self.parser.peek_token();
        if self.word("TABLE") {
            self.create_table().map(|table| Statement::CreateTable(Box::new(table)))
        } else if self.word("VIEW") {
            self.create_view().map(Statement::CreateView)
        } else {
            Err(self.at(&next, &format!("CREATE {} is not supported; TABLE and VIEW are", next.token)))
        }
    }

    fn create_table(&mut self) -> Result<CreateTable> {
        let if_not_exists = self.if_exists(true)?;
        let name = self.name()?.value;
        let mut table = CreateTable {
            name,
            if_not_exists,
            columns: Vec::new(),
            watermark: None,
            primary_key: Vec::new(),
            partitions: Vec::new(),
            options: BTreeMap::new(),
        };
        self.expect(&Token::LParen)?;
        loop {
            self.table_element(&mut table)?;
            if !self.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::RParen)?;
        self.comment()?;
        if self.word("PARTITIONED") {
            self.expect_word("BY")?;
            table.partitions = self.names()?;
        }
        if self.word("WITH") {
            table.options = self.options()?;
        }
        Ok(table)
    }

    /// A column, the watermark or the primary key.
    fn table_element(&mut self, table: &mut CreateTable) -> Result<()> {
        let first = self.parser.peek_token();
        let quoted = matches!(&first.token, Token::Word(word) if word.quote_style.is_some());
        if !quoted && self.word("WATERMARK") {
            self.expect_word("FOR")?;
            let column = self.name()?;
            self.expect_word("AS")?;
            let expression = self.read(Parser::parse_expr)?;
            if table.watermark.replace(WatermarkDefinition { column, expression }).is_some() {
                return Err(self.at(&first, "a table can have one WATERMARK only"));
            }
            return Ok(());
        }
        if !quoted && self.word("CONSTRAINT") {
            self.name()?;
        }
        if !quoted && self.word("PRIMARY") {
            self.expect_word("KEY")?;
            table.primary_key = self.names()?.into_iter().map(|name| name.value).collect();
            return self.not_enforced();
        }
        let name = self.name()?;
        if let Some(other) = table.columns.iter().find(|column| column.name.value == name.value) {
            return Err(self.at(&first, &format!("there are two columns named '{}'", other.name.value)));
        }
        let kind = if self.word("AS") {
            ColumnKind::Computed(Box::new(self.read(Parser::parse_expr)?))
        } else {
            let data_type = self.read(parse_type)?;
            let mut nullable = true;
            loop {
                if self.word("NOT") {
                    self.expect_word("NULL")?;
                    nullable = false;
                } else if self.word("PRIMARY") {
                    self.expect_word("KEY")?;
                    table.primary_key = vec![name.value.clone()];
                    self.not_enforced()?;
                } else if !self.word("NULL") {
                    break;
                }
            }
            let next = self.parser.peek_token();
            if self.word("METADATA") {
                return Err(self.at(&next, "metadata columns are not supported"));
            }
            ColumnKind::Physical { data_type, nullable }
        };
        self.comment()?;
        table.columns.push(ColumnDefinition { name, kind });
        Ok(())
    }

    fn not_enforced(&mut self) -> Result<()> {
        let next = self.parser.peek_token();
        if self.word("NOT") && self.word("ENFORCED") {
            return Ok(());
        }
        Err(self.at(&next, "a primary key is not checked: write PRIMARY KEY ... NOT ENFORCED"))
    }

    fn comment(&mut self) -> Result<()> {
        if self.word("COMMENT") {
            self.read(Parser::parse_literal_string)?;
        }
        Ok(())
    }

    fn options(&mut self) -> Result<BTreeMap<String, String>> {
        self.expect(&Token::LParen)?;
        let mut options = BTreeMap::new();
        loop {
            let place = self.parser.peek_token();
            let key = self.read(Parser::parse_literal_string)?;
            self.expect(&Token::Eq)?;
            let value = self.read(Parser::parse_literal_string)?;
            if options.insert(key.clone(), value).is_some() {
                return Err(self.at(&place, &format!("option '{key}' is given twice")));
            }
            if !self.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::RParen)?;
        Ok(options)
    }

    fn create_view(&mut self) -> Result<CreateView> {
        let if_not_exists = self.if_exists(true)?;
        let name = self.name()?.value;
        let columns = if self.parser.peek_token().token == Token::LParen { self.names()? } else { Vec::new() };
        self.comment()?;
        self.expect_word("AS")?;
        Ok(CreateView { name, if_not_exists, columns, query: self.query()? })
    }

    fn drop(&mut self) -> Result<Statement> {
        let _ = self.word("TEMPORARY");
        let next = self.parser.peek_token();
        let kind = if self.word("TABLE") {
            ObjectKind::Table
        } else if self.word("VIEW") {
            ObjectKind::View
        } else {
            return Err(self.at(&next, &format!("DROP {} is not supported; TABLE and VIEW are", next.token)));
        };
        let if_exists = self.if_exists(false)?;
        Ok(Statement::Drop(kind, self.name()?.value, if_exists))
    }

    fn insert(&mut self) -> Result<Insert> {
        self.expect_word("INTO")?;
        let table = self.name()?;
        let columns = match (&self.parser.peek_token().token, &self.parser.peek_nth_token(1).token) {
            (Token::LParen, Token::Word(word)) if !matches!(&*word.value.to_ascii_uppercase(), "SELECT" | "WITH" | "VALUES") => {
                self.names()?
            }
            _ => Vec::new(),
        };
        Ok(Insert { table, columns, query: self.query()? })
    }

    /// After `STATEMENT`.
    fn statement_set(&mut self) -> Result<Statement> {
        self.expect_word("SET")?;
        let _ = self.parser.consume_token(&Token::SemiColon);
        let _ = self.word("BEGIN");
        let mut insertions = Vec::new();
        while !self.word("END") {
            self.expect_word("INSERT")?;
            insertions.push(self.insert()?);
            self.expect(&Token::SemiColon)?;
        }
        Ok(Statement::Insertions(insertions))
    }

    fn set(&mut self) -> Result<Statement> {
        if self.is_end() {
            return Ok(Statement::Set(None));
        }
        let key = self.option_text()?;
        self.expect(&Token::Eq)?;
        Ok(Statement::Set(Some((key, self.option_text()?))))
    }

    /// A quoted text, or what stands there up to `=` or the end.
    fn option_text(&mut self) -> Result<String> {
        let mut text = String::new();
        while !self.is_end() && self.parser.peek_token().token != Token::Eq {
            match self.parser.next_token().token {
                Token::SingleQuotedString(quoted) if text.is_empty() => return Ok(quoted),
                other => text.push_str(&other.to_string()),
            }
        }
        if text.is_empty() { Err(self.at(&self.parser.peek_token(), "expected an option")) } else { Ok(text) }
    }

    fn show(&mut self) -> Result<Statement> {
        let next = self.parser.next_token();
        match &*next.token.to_string().to_ascii_uppercase() {
            "TABLES" => Ok(Statement::Show(Show::Tables)),
            "VIEWS" => Ok(Statement::Show(Show::Views)),
            "FUNCTIONS" => Ok(Statement::Show(Show::Functions)),
            "JOBS" => Ok(Statement::ShowJobs),
            other => Err(self.at(&next, &format!("SHOW {other} is not supported; TABLES, VIEWS, FUNCTIONS and JOBS are"))),
        }
    }

    fn describe(&mut self) -> Result<Statement> {
        // A table may be called JOB.
        let is_job = matches!(&self.parser.peek_nth_token(1).token, Token::SingleQuotedString(_)) && self.word("JOB");
        if is_job { self.job().map(Statement::DescribeJob) } else { self.name().map(|name| Statement::Describe(name.value)) }
    }

    fn stop(&mut self) -> Result<Statement> {
        self.expect_word("JOB")?;
        let job = self.job()?;
        let (mut savepoint, mut drain) = (false, false);
        while self.word("WITH") {
            let next = self.parser.peek_token();
            match (self.word("SAVEPOINT"), savepoint) {
                (true, false) => savepoint = true,
                (false, true) if self.word("DRAIN") && !drain => drain = true,
                _ => return Err(self.expected("SAVEPOINT, and DRAIN behind it", &next)),
            }
        }
        Ok(Statement::StopJob(job, if savepoint { StopMode::Savepoint { drain } } else { StopMode::Cancel }))
    }

    /// The id of a job, in quotes.
    fn job(&mut self) -> Result<JobId> {
        let place = self.parser.peek_token();
        let text = self.read(Parser::parse_literal_string)?;
        text.parse().map_err(|error: Error| self.at(&place, &error.to_string()))
    }

    fn query(&mut self) -> Result<Box<Query>> {
        self.read(Parser::parse_query)
    }

    fn name(&mut self) -> Result<Ident> {
        let first = self.parser.peek_token();
        let name = self.read(Parser::parse_identifier)?;
        if self.parser.peek_token().token == Token::Period {
            return Err(self.at(&first, "names with a catalog or a database are not supported"));
        }
        Ok(name)
    }

    fn names(&mut self) -> Result<Vec<Ident>> {
        self.expect(&Token::LParen)?;
        let mut names = vec![self.name()?];
        while self.parser.consume_token(&Token::Comma) {
            names.push(self.name()?);
        }
        self.expect(&Token::RParen)?;
        Ok(names)
    }

    /// `IF NOT EXISTS` or `IF EXISTS`.
    fn if_exists(&mut self, not: bool) -> Result<bool> {
        if !self.word("IF") {
            return Ok(false);
        }
        if not {
            self.expect_word("NOT")?;
        }
        self.expect_word("EXISTS")?;
        Ok(true)
    }

    /// Takes a word, if it comes next.
    fn word(&mut self, expected: &str) -> bool {
        let is_next = matches!(&self.parser.peek_token().token, Token::Word(word) if word.value.eq_ignore_ascii_case(expected));
        if is_next {
            self.parser.next_token();
        }
        is_next
    }

    fn expect_word(&mut self, expected: &str) -> Result<()> {
        let next = self.parser.peek_token();
        if self.word(expected) { Ok(()) } else { Err(self.expected(expected, &next)) }
    }

    fn expect(&mut self, expected: &Token) -> Result<()> {
        let next = self.parser.peek_token();
        if self.parser.consume_token(expected) { Ok(()) } else { Err(self.expected(&expected.to_string(), &next)) }
    }

    fn is_end(&self) -> bool {
        self.parser.peek_token().token == Token::EOF
    }

    fn end(&self) -> Result<()> {
        if self.is_end() { Ok(()) } else { Err(self.expected("the end of the statement", &self.parser.peek_token())) }
    }

    fn expected(&self, expected: &str, found: &TokenWithSpan) -> Error {
        self.at(found, &format!("expected {expected}, found {}", shown(&found.token)))
    }

    fn at(&self, place: &TokenWithSpan, what: &str) -> Error {
        match place.token {
            // The end has no place of its own.
            Token::EOF => {
                let lines = self.text.as_str().trim_end().lines();
                let (count, last) = lines.enumerate().last().unwrap_or_default();
                self.text.error_at(count as u64 + 1, last.chars().count() as u64 + 1, what)
            }
            _ => self.text.error_at(place.span.start.line, place.span.start.column, what),
        }
    }

    fn read<T>(&mut self, read: impl FnOnce(&mut Parser<'a>) -> std::result::Result<T, ParserError>) -> Result<T> {
        read(&mut self.parser).map_err(|error| match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => match message.strip_suffix("found: EOF") {
                // The end has no place of its own there.
                Some(what) => self.at(&TokenWithSpan::wrap(Token::EOF), &format!("{what}found: the end")),
                None => self.text.parser_error(&message),
            },
            ParserError::RecursionLimitExceeded => Error::user("the statement is nested too deeply"),
        })
    }
}

fn shown(token: &Token) -> String {
    if *token == Token::EOF { "the end".to_owned() } else { format!("'{token}'") }
}

/// The word that is written most like this one, if it is not too different.
pub(crate) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = words.into_iter().map(|other| (distance(&word.to_ascii_uppercase(), &other.to_ascii_uppercase()), other));
    scored.min().filter(|(distance, _)| *distance <= 1 + word.len() / 4).map(|(_, other)| other)
}

/// Letters that have to be added, dropped or exchanged.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in two.iter().enumerate() {
            let cost = (diagonal + usize::from(a != *b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use crate::sql::{ColumnKind, Script, Statement};
    use brisk_base::ids::JobId;
    use brisk_core::job::StopMode;

    fn parse(text: &str) -> brisk_base::Result<Statement> {
        Script::new(text)?.parse(0)
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_table_has_all_its_parts() {
        let text = "CREATE TEMPORARY TABLE IF NOT EXISTS `a b` (id BIGINT NOT NULL COMMENT 'x', ts TIMESTAMP(3), d AS id + 1,
            WATERMARK FOR ts AS ts - INTERVAL '4' SECOND, PRIMARY KEY (id) NOT ENFORCED) COMMENT 'y' WITH ('connector' = 'x', 'a' = 'b')";
        let Statement::CreateTable(table) = parse(text).unwrap() else { panic!("a table") };
        assert_eq!((table.name.as_str(), table.columns.len(), table.options.len()), ("a b", 3, 2));
        assert!(table.if_not_exists && table.watermark.is_some() && table.primary_key == ["id"]);
        assert!(matches!(table.columns[0].kind, ColumnKind::Physical { nullable: false, .. }));
        assert!(matches!(table.columns[2].kind, ColumnKind::Computed(_)));
    }

    #[test]
    fn statements_of_all_kinds() {
        assert!(matches!(parse("SET 'a.b' = 'c'").unwrap(), Statement::Set(Some((key, value))) if key == "a.b" && value == "c"));
        assert!(matches!(parse("RESET").unwrap(), Statement::Reset(None)));
        assert!(matches!(parse("EXPLAIN SELECT 1").unwrap(), Statement::Explain(..)));
        let details = "EXPLAIN CHANGELOG_MODE, json_execution_plan INSERT INTO a SELECT 1";
        assert!(matches!(parse(details).unwrap(), Statement::Explain(details, _) if details.len() == 2));
        assert!(matches!(parse("EXPLAIN PLAN FOR SELECT 1").unwrap(), Statement::Explain(details, _) if details.is_empty()));
        let set = parse("EXPLAIN STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END").unwrap();
        assert!(matches!(set, Statement::Explain(_, set) if matches!(&*set, Statement::Insertions(all) if all.len() == 2)));
        assert!(matches!(parse("DESC t").unwrap(), Statement::Describe(_)));
        assert!(matches!(parse("INSERT INTO t (a) SELECT 1").unwrap(), Statement::Insert(insert) if insert.columns.len() == 1));
        let set = "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END";
        assert!(matches!(parse(set).unwrap(), Statement::Insertions(insertions) if insertions.len() == 2));
        let job = format!("'{:032x}'", 0xabc);
        assert!(matches!(parse("SHOW JOBS").unwrap(), Statement::ShowJobs));
        assert!(matches!(parse(&format!("DESCRIBE JOB {job}")).unwrap(), Statement::DescribeJob(JobId(0xabc))));
        assert!(matches!(parse("DESCRIBE job").unwrap(), Statement::Describe(name) if name == "job"));
        assert!(matches!(parse(&format!("STOP JOB {job}")).unwrap(), Statement::StopJob(JobId(0xabc), StopMode::Cancel)));
        let stop = |text: &str| parse(&format!("STOP JOB {job} {text}"));
        assert!(matches!(stop("WITH SAVEPOINT").unwrap(), Statement::StopJob(_, StopMode::Savepoint { drain: false })));
        assert!(matches!(stop("WITH SAVEPOINT WITH DRAIN").unwrap(), Statement::StopJob(_, StopMode::Savepoint { drain: true })));
        assert!(stop("WITH DRAIN").is_err() && stop("WITH SAVEPOINT WITH SAVEPOINT").is_err());
        assert!(parse("SELECT * FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))").is_ok());
    }

    #[test]
    fn errors_point_at_their_place() {
        assert!(error("SELEKT 1").starts_with("line 1, column 1: 'SELEKT' begins no statement; did you mean SELECT?"));
        assert!(error("CREATE TABLE t (\n a INT,\n a INT)").starts_with("line 3, column 2: there are two columns named 'a'"));
        let wrong = error("EXPLAIN CHANGELOG_MODES SELECT 1");
        assert!(wrong.starts_with("line 1, column 9: 'CHANGELOG_MODES' is neither") && wrong.contains("mean CHANGELOG_MODE?"), "{wrong}");
        assert!(error("EXPLAIN PLAN SELECT 1").starts_with("line 1, column 14: expected FOR"));
        assert!(error("EXPLAIN SELEKT 1").contains("did you mean SELECT?"));
        assert!(error("CREATE TABLE t (a INT").starts_with("line 1, column 22: expected ), found the end"));
        assert!(error("STOP JOB 'x'").starts_with("line 1, column 10: 'x' is not an id"), "{}", error("STOP JOB 'x'"));
        assert!(error("SELECT 1 FROM").contains("line 1"), "{}", error("SELECT 1 FROM"));
        assert!(error("SELECT a b c FROM t").starts_with("line 1, column 12"), "{}", error("SELECT a b c FROM t"));
    }
}
