//! A text of several statements, cut at its semicolons.

use super::dialect::FlinkDialect;
use super::statement::Statement;
use super::text::SqlText;
use brisk_base::Result;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// Statements of one text, not read yet.
#[derive(Debug)]
pub struct Script {
    text: SqlText,
    /// The tokens of each statement, without its semicolon.
    statements: Vec<Vec<TokenWithSpan>>,
}

impl Script {
    /// Cuts a text into statements.
    ///
    /// # Errors
    /// When it is not made of SQL's tokens: a quote that is not closed, say.
    pub fn new(text: &str) -> Result<Self> {
        let text = SqlText::new(text);
        let tokens = Tokenizer::new(&FlinkDialect, text.as_str()).tokenize_with_location();
        let tokens = tokens.map_err(|error| text.error_at(error.location.line, error.location.column, &error.message))?;
        Ok(Self { statements: split(tokens), text })
    }

    /// Number of statements.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The text.
    pub fn text(&self) -> &SqlText {
        &self.text
    }

    /// Whether a statement is a query, whose rows are asked for. One that is written wrongly is none.
    pub fn is_query(&self, index: usize) -> bool {
        self.parse(index).is_ok_and(|statement| matches!(statement, Statement::Query(_)))
    }

    /// Reads one statement.
    ///
    /// # Errors
    /// When it is none, with the place.
    ///
    /// # Panics
    /// When there is no statement of this number.
    pub fn parse(&self, index: usize) -> Result<Statement> {
        super::parser::parse(&self.text, without_table_keywords(self.statements[index].clone()))
    }
}

fn word(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Statements, cut at semicolons outside of `BEGIN ... END`.
fn split(tokens: Vec<TokenWithSpan>) -> Vec<Vec<TokenWithSpan>> {
    let mut statements: Vec<Vec<TokenWithSpan>> = vec![Vec::new()];
    let mut in_block = false;
    for token in tokens {
        let first = statements.last().is_none_or(|statement| statement.iter().all(|token| matches!(token.token, Token::Whitespace(_))));
        match (&token.token, word(&token)) {
            (Token::SemiColon, _) if !in_block => statements.push(Vec::new()),
            (Token::EOF, _) => {}
            _ => {
                let opens = word(&token) == Some(Keyword::BEGIN) && !first;
                let closes = word(&token) == Some(Keyword::END) && in_block;
                if let Some(statement) = statements.last_mut() {
                    let set = statement.iter().any(|token| word(token) == Some(Keyword::SET));
                    in_block = (in_block && !(closes && ends_with_semicolon(statement))) || (opens && set);
                    statement.push(token);
                }
            }
        }
    }
    statements.retain(|statement| statement.iter().any(|token| !matches!(token.token, Token::Whitespace(_))));
    statements
}

fn ends_with_semicolon(statement: &[TokenWithSpan]) -> bool {
    let last = statement.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_)));
    last.is_some_and(|token| token.token == Token::SemiColon)
}

/// Window functions take `TABLE t` as their first argument; `sqlparser` knows the table's name alone.
fn without_table_keywords(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let solid: Vec<usize> = (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let is_function = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) => ["TUMBLE", "HOP", "CUMULATE", "SESSION"].iter().any(|name| word.value.eq_ignore_ascii_case(name)),
        _ => false,
    };
    let dropped: Vec<usize> = solid
        .windows(3)
        .filter(|at| is_function(&tokens[at[0]]) && tokens[at[1]].token == Token::LParen && word(&tokens[at[2]]) == Some(Keyword::TABLE))
        .map(|at| at[2])
        .collect();
    tokens.into_iter().enumerate().filter(|(at, _)| !dropped.contains(at)).map(|(_, token)| token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons() {
        let lengths = |text: &str| Script::new(text).unwrap().len();
        assert_eq!(lengths(" ; -- nothing\n;"), 0);
        assert_eq!(lengths("SELECT ';' ; SELECT 2 -- the last"), 2);
        assert_eq!(lengths("EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END; SELECT 3"), 2);
        assert_eq!(lengths("SELECT CASE WHEN a THEN 1 END FROM t; SELECT 2"), 2);
    }

    #[test]
    fn open_quotes_are_placed() {
        let error = Script::new("SELECT\n  'open").unwrap_err().to_string();
        assert!(error.starts_with("line 2, column 3"), "{error}");
    }
}
