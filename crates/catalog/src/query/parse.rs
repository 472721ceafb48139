//! From the text of a query to its expression, by recursive descent.

use fonds_core::{Code, Error, Result};

use super::{Expression, Operator, column_number, value_of};
use crate::record::Record;
use crate::row::Row;

/// Nested brackets and `not`s beyond this are refused, before the stack is.
const DEPTH: u32 = 100;

/// Reads a whole query.
pub(super) fn expression(text: &str) -> Result<Expression> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        end: text.chars().count() + 1,
        depth: 0,
    };
    let found = parser.any()?;
    match parser.peek() {
        None => Ok(found),
        Some(_) => Err(parser.wrong("the query should end here, or go on with `and` or `or`")),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// A name, a keyword or a value without quotes.
    Word(String),
    /// A value in quotes.
    Quoted(String),
    /// An operator, bracket or comma.
    Sign(&'static str),
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    /// Counted in characters from 1.
    column: usize,
}

/// Longer ones first.
const SIGNS: [&str; 11] = ["!=", "<=", ">=", "<>", "=", "<", ">", "~", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<Token>> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let column = at + 1;
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, length) = if c == '\'' || c == '"' {
            quoted(&chars[at..], column)?
        } else if let Some(sign) = sign(&chars[at..]) {
            (Kind::Sign(sign), sign.len())
        } else {
            let rest = &chars[at..];
            let word: String = rest
                .iter()
                .enumerate()
                .take_while(|(i, c)| {
                    // `~` is part of a date (`1931~`, `1931~/1935`) when no value follows it.
                    let next = rest.get(i + 1);
                    let in_date =
                        *i > 0 && !next.is_some_and(|c| c.is_alphanumeric() || "'\"".contains(*c));
                    !c.is_whitespace() && !"=<>!(),'\"".contains(**c) && (**c != '~' || in_date)
                })
                .map(|(_, c)| *c)
                .collect();
            let length = word.chars().count();
            if length == 0 {
                return Err(bad(column, format!("`{c}` stands where no sign belongs")));
            }
            (Kind::Word(word), length)
        };
        tokens.push(Token { kind, column });
        at += length;
    }
    Ok(tokens)
}

/// A value in quotes, in which two of the quotes are one; and how many characters it takes.
fn quoted(chars: &[char], column: usize) -> Result<(Kind, usize)> {
    let quote = chars[0];
    let mut value = String::new();
    let mut at = 1;
    loop {
        match (chars.get(at), chars.get(at + 1)) {
            (Some(c), Some(next)) if *c == quote && *next == quote => {
                value.push(quote);
                at += 2;
            }
            (Some(c), _) if *c == quote => return Ok((Kind::Quoted(value), at + 1)),
            (Some(c), _) => {
                value.push(*c);
                at += 1;
            }
            (None, _) => return Err(bad(column, "a quote begins here and never ends".to_owned())),
        }
    }
}

fn sign(chars: &[char]) -> Option<&'static str> {
    SIGNS.into_iter().find(|sign| {
        let mut wanted = sign.chars().enumerate();
        wanted.all(|(i, c)| chars.get(i) == Some(&c))
    })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: u32,
}

impl Parser {
    fn any(&mut self) -> Result<Expression> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn not(&mut self) -> Result<Expression> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong("brackets and `not`s are nested too deep"));
        }
        let found = if self.take_word("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.take_sign("(") {
            let inner = self.any()?;
            if !self.take_sign(")") {
                return Err(self.wrong("a `)` is missing"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn comparison(&mut self) -> Result<Expression> {
        let index = self.column()?;
        if self.take_word("is") {
            let not = self.take_word("not");
            if !self.take_word("empty") {
                return Err(self.wrong("after `is` stands `empty` or `not empty`"));
            }
            let empty = Expression::Empty(index);
            return Ok(if not { negated(empty) } else { empty });
        }
        if self.take_word("has") {
            return self.compared(index, Operator::Has);
        }
        if self.take_word("in") {
            return self.list(index);
        }
        for (sign, operator) in [
            ("=", Operator::Equal),
            ("<", Operator::Less),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            (">=", Operator::GreaterOrEqual),
            ("~", Operator::Contains),
        ] {
            if self.take_sign(sign) {
                return self.compared(index, operator);
            }
        }
        if self.take_sign("!=") || self.take_sign("<>") {
            return self.compared(index, Operator::Equal).map(negated);
        }
        Err(self.wrong(
            "after a column stands one of =, !=, <, <=, >, >=, ~ (contains), has, in, is empty",
        ))
    }

    fn list(&mut self, index: usize) -> Result<Expression> {
        if !self.take_sign("(") {
            return Err(self.wrong("after `in` stands a list: `in (a, b)`"));
        }
        let mut parts = vec![self.compared(index, Operator::Equal)?];
        while self.take_sign(",") {
            parts.push(self.compared(index, Operator::Equal)?);
        }
        if !self.take_sign(")") {
            return Err(self.wrong("a `)` is missing"));
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn compared(&mut self, index: usize, operator: Operator) -> Result<Expression> {
        let place = self.place();
        let text = match self.peek() {
            Some(Kind::Word(text) | Kind::Quoted(text)) => text.clone(),
            _ => return Err(self.wrong("a value is missing")),
        };
        self.at += 1;
        let value = value_of(&Record::COLUMNS[index], operator, &text);
        let value = value.map_err(|message| bad(place, message))?;
        Ok(Expression::Compare(index, operator, value))
    }

    fn column(&mut self) -> Result<usize> {
        let Some(Kind::Word(name)) = self.peek() else {
            return Err(self.wrong("the name of a column is missing"));
        };
        let place = self.place() as u32;
        let index = column_number(name).map_err(|error| error.at_line(1, place))?;
        self.at += 1;
        Ok(index)
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn place(&self) -> usize {
        let token = self.tokens.get(self.at);
        token.map_or(self.end, |token| token.column)
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Kind::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Sign(sign)) if *sign == wanted);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self, message: &str) -> Error {
        bad(self.place(), message.to_owned())
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}

fn negated(expression: Expression) -> Expression {
    Expression::Not(Box::new(expression))
}

fn bad(column: usize, message: String) -> Error {
    Error::new(Code::InvalidRequest, message).at_line(1, column as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mistakes_name_their_place() {
        for (text, expected, hint) in [
            (
                "",
                "line 1, column 1: the name of a column is missing",
                None,
            ),
            (
                "titel = x",
                "line 1, column 1: there is no column `titel`",
                Some("is `title` meant?"),
            ),
            (
                "title",
                "line 1, column 6: after a column stands one of",
                None,
            ),
            ("title =", "line 1, column 8: a value is missing", None),
            (
                "title = 'x",
                "line 1, column 9: a quote begins here and never ends",
                None,
            ),
            (
                "title = x y",
                "line 1, column 11: the query should end here",
                None,
            ),
            ("(title = x", "line 1, column 11: a `)` is missing", None),
            (
                "title is nothing",
                "line 1, column 10: after `is` stands",
                None,
            ),
            (
                "status = done",
                "line 1, column 10: `status` has no word `done`; it has ok, ",
                None,
            ),
            (
                "date < yesterday",
                "line 1, column 8: `date` is a date and `yesterday` is not",
                None,
            ),
            (
                "image_width > wide",
                "line 1, column 15: `image_width` is a number",
                None,
            ),
            (
                "title ! x",
                "line 1, column 7: `!` stands where no sign belongs",
                None,
            ),
            (
                "status in ok",
                "line 1, column 11: after `in` stands a list",
                None,
            ),
        ] {
            let error = expression(text).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{text}: {error}");
            assert_eq!(error.hints().first().map(String::as_str), hint, "{text}");
        }
        let deep = format!("{}title = x{}", "(".repeat(1000), ")".repeat(1000));
        assert!(
            expression(&deep)
                .unwrap_err()
                .message()
                .contains("too deep")
        );
    }

    #[test]
    fn quotes_and_dates_are_values() {
        for text in [
            "title = 'it''s'",
            "title = \"a \"\"b\"\" and c\"",
            "date = 1931~",
            "date=1931~ and title~x",
            "title='a'and(date<1920)",
            "TITLE = x",
        ] {
            let found = expression(text);
            assert_eq!(
                found.is_ok(),
                !text.starts_with("TITLE"),
                "{text}: {found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn hostile_queries(text in "(title|date|and|or|not|is|empty|in|has|[ =<>!~(),'\"x1]){0,12}") {
            let _ = expression(&text);
        }
    }
}
