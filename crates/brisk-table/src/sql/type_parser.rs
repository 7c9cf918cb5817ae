//! Reads Flink's types. Those that hold others (`ARRAY<INT>`, `MAP<STRING, INT>`, `ROW<a INT, b STRING>`) are read here, the rest by
//! `sqlparser`.

use datafusion_sql::sqlparser::ast::{ArrayElemTypeDef, DataType, StructBracketKind, StructField};
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::Token;

/// How deep types may lie in each other.
const MAX_DEPTH: usize = 32;

/// Reads a type.
pub(crate) fn parse_type(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
    let next = parser.peek_token();
    match read(parser, 0)? {
        (data_type, false) => Ok(data_type),
        (_, true) => parser.expected("a type without a bracket behind it", next),
    }
}

/// A type, and whether a `>` behind it was read that closes the type around it: two of them are one token.
fn read(parser: &mut Parser<'_>, depth: usize) -> Result<(DataType, bool), ParserError> {
    if depth > MAX_DEPTH {
        return Err(ParserError::RecursionLimitExceeded);
    }
    let opens = |parser: &Parser<'_>, token: &Token| parser.peek_nth_token_ref(1).token == *token;
    let (mut data_type, closed) = if is_next(parser, "ARRAY") && opens(parser, &Token::Lt) {
        skip(parser, 2);
        let (element, closed) = read(parser, depth + 1)?;
        (array_of(element), close(parser, closed)?)
    } else if is_next(parser, "MAP") && opens(parser, &Token::Lt) {
        skip(parser, 2);
        let (key, closed) = read(parser, depth + 1)?;
        let place = parser.peek_token();
        if closed || !parser.consume_token(&Token::Comma) {
            return parser.expected("the type of the values: MAP<key, value>", place);
        }
        let (value, closed) = read(parser, depth + 1)?;
        (DataType::Map(Box::new(key), Box::new(value)), close(parser, closed)?)
    } else if is_next(parser, "ROW") && opens(parser, &Token::Lt) {
        skip(parser, 2);
        let (fields, closed) = fields(parser, depth)?;
        (DataType::Struct(fields, StructBracketKind::AngleBrackets), close(parser, closed)?)
    } else if is_next(parser, "ROW") && opens(parser, &Token::LParen) {
        skip(parser, 2);
        let (fields, closed) = fields(parser, depth)?;
        let place = parser.peek_token();
        if closed || !parser.consume_token(&Token::RParen) {
            return parser.expected(")", place);
        }
        (DataType::Struct(fields, StructBracketKind::Parentheses), false)
    } else {
        (parser.parse_data_type()?, false)
    };
    while !closed && is_next(parser, "ARRAY") {
        skip(parser, 1);
        data_type = array_of(data_type);
    }
    if depth > 0 && !closed {
        null_or_not(parser);
    }
    Ok((data_type, closed))
}

/// The fields of a row: names, types and comments.
fn fields(parser: &mut Parser<'_>, depth: usize) -> Result<(Vec<StructField>, bool), ParserError> {
    let mut fields = Vec::new();
    loop {
        let field_name = Some(parser.parse_identifier()?);
        let (field_type, closed) = read(parser, depth + 1)?;
        fields.push(StructField { field_name, field_type, options: None });
        if !closed && matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
            skip(parser, 1);
        }
        if closed || !parser.consume_token(&Token::Comma) {
            return Ok((fields, closed));
        }
    }
}

/// `NULL` and `NOT NULL` of a part are read, and not checked: every part may be null.
fn null_or_not(parser: &mut Parser<'_>) {
    if is_next(parser, "NULL") {
        skip(parser, 1);
    } else if is_next(parser, "NOT") {
        skip(parser, 2);
    }
}

fn array_of(element: DataType) -> DataType {
    DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(element)))
}

/// Reads the `>` behind the parts of a type, unless it was read with theirs; gives whether one too many was.
fn close(parser: &mut Parser<'_>, closed: bool) -> Result<bool, ParserError> {
    if closed {
        return Ok(false);
    }
    let next = parser.next_token();
    match next.token {
        Token::Gt => Ok(false),
        Token::ShiftRight => Ok(true),
        _ => parser.expected(">", next),
    }
}

fn is_next(parser: &Parser<'_>, expected: &str) -> bool {
    matches!(&parser.peek_token_ref().token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
}

fn skip(parser: &mut Parser<'_>, tokens: usize) {
    for _ in 0..tokens {
        parser.next_token();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::FlinkDialect;
    use crate::sql::{arrow_type, sql_type};

    fn read(text: &str) -> Result<String, String> {
        let dialect = FlinkDialect;
        let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(|error| error.to_string())?;
        let data_type = parse_type(&mut parser).map_err(|error| error.to_string())?;
        assert_eq!(parser.peek_token().token, Token::EOF, "{text}");
        arrow_type(&data_type).map(|data_type| sql_type(&data_type))
    }

    #[test]
    fn types_read_as_they_are_written() {
        for text in [
            "INT",
            "ARRAY<INT>",
            "ARRAY<ARRAY<STRING>>",
            "MAP<STRING, ARRAY<DECIMAL(10, 2)>>",
            "ROW<`a` INT, `b c` ROW<`d` TIMESTAMP(3)>>",
            "ARRAY<ROW<`a` ARRAY<MAP<INT, BYTES>>>>",
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        assert_eq!(read("INT ARRAY").as_deref(), Ok("ARRAY<INT>"));
        assert_eq!(read("ROW(a INT NOT NULL 'x', b ARRAY<INT NOT NULL>)").as_deref(), Ok("ROW<`a` INT, `b` ARRAY<INT>>"));
    }

    #[test]
    fn types_that_are_wrong_are_errors() {
        for text in ["ARRAY<INT", "ARRAY<INT>>", "MAP<INT>", "MAP<ARRAY<INT>>", "ROW<INT>", "ROW(a ARRAY<INT>>)", "ARRAY<CAT>"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("{}INT{}", "ARRAY<".repeat(99), ">".repeat(99))).is_err());
    }
}
