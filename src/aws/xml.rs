//! Answers of the EC2 and STS Query protocols, read into JSON by a table of shapes.
//!
//! Owns XML. A member that the table does not name is skipped; one that it names must have its shape. Refuses to know
//! which members exist. Shapes as the AWS CLI prints them: absent is absent, an empty list is `[]`, an empty
//! structure `{}`, an empty text `""`.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// What a member holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A text, also a number that the API keeps as text, and a time as it is sent.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Flag,
    /// Members by name.
    Struct(&'static [Member]),
    /// `<item>` after `<item>`.
    List(&'static Shape),
}

/// A member of a structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Its name in JSON: `VpcId`.
    pub(super) json: &'static str,
    /// The name of its element; empty where that is the name in JSON with a small first letter: `vpcId`.
    wire: &'static str,
    shape: Shape,
}

impl Member {
    pub(super) const fn text(json: &'static str) -> Self {
        Self { json, wire: "", shape: Shape::Text }
    }

    pub(super) const fn integer(json: &'static str) -> Self {
        Self { json, wire: "", shape: Shape::Integer }
    }

    pub(super) const fn flag(json: &'static str) -> Self {
        Self { json, wire: "", shape: Shape::Flag }
    }

    pub(super) const fn object(json: &'static str, members: &'static [Self]) -> Self {
        Self { json, wire: "", shape: Shape::Struct(members) }
    }

    pub(super) const fn list(json: &'static str, item: &'static Shape) -> Self {
        Self { json, wire: "", shape: Shape::List(item) }
    }

    /// The same member under another name on the wire.
    pub(super) const fn wire(self, wire: &'static str) -> Self {
        Self { wire, ..self }
    }

    fn is_at(&self, element: &str) -> bool {
        if !self.wire.is_empty() {
            return self.wire == element;
        }
        let ((first, rest), (named, others)) =
            (self.json.split_at(1), element.split_at_checked(1).unwrap_or_default());
        first.eq_ignore_ascii_case(named) && rest == others
    }
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum XmlError {
    /// Not XML, or XML that breaks off.
    #[error("not XML: {0}")]
    Syntax(#[from] quick_xml::Error),
    /// It ends before its root element does.
    #[error("it breaks off")]
    Truncated,
    /// The text is not UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// An answer to something else, such as a sign-in page.
    #[error("`{0}` instead of the answer")]
    Root(String),
    /// A value that is not of its member's shape.
    #[error("{member} is `{value}`")]
    Value {
        /// The member, as AWS spells it.
        member: &'static str,
        /// Its text.
        value: String,
    },
    /// A reference that XML does not define.
    #[error("an unknown entity `{0}`")]
    Entity(String),
}

type Result<T> = std::result::Result<T, XmlError>;
type Object = Map<String, Value>;

/// Reads an answer whose root element is `root`.
pub(super) fn read(body: &[u8], root: &str, members: &'static [Member]) -> Result<Object> {
    let text = std::str::from_utf8(body).map_err(|_| XmlError::Encoding)?;
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event()? {
            Event::Start(start) if is_named(&start, root) => return structure(&mut reader, members),
            Event::Empty(start) if is_named(&start, root) => return Ok(Object::new()),
            Event::Start(start) | Event::Empty(start) => return Err(XmlError::Root(name(&start))),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

/// The code and the message of an error, wherever they stand: `<Response><Errors><Error>` from EC2,
/// `<ErrorResponse><Error>` from STS. Neither when it is no such answer.
pub(super) fn read_error(body: &[u8]) -> (Option<String>, Option<String>) {
    let (mut code, mut message) = (None, None);
    let Ok(text) = std::str::from_utf8(body) else { return (None, None) };
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) if is_named(&start, "Code") && code.is_none() => {
                code = content(&mut reader).ok();
            }
            Ok(Event::Start(start)) if is_named(&start, "Message") && message.is_none() => {
                message = content(&mut reader).ok();
            }
            Ok(Event::Eof) | Err(_) => return (code, message),
            Ok(_) => {}
        }
    }
}

/// The members up to the end of the element that was just begun.
fn structure(reader: &mut Reader<&[u8]>, members: &'static [Member]) -> Result<Object> {
    let mut object = Object::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) => match find(members, &start) {
                Some(member) => {
                    object.insert(member.json.to_owned(), value(reader, member, &member.shape)?);
                }
                None => {
                    reader.read_to_end(start.name())?;
                }
            },
            Event::Empty(start) => {
                if let Some(member) = find(members, &start) {
                    object.insert(member.json.to_owned(), empty(member, &member.shape)?);
                }
            }
            Event::End(_) => return Ok(object),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

/// The value up to the end of the element that was just begun.
fn value(reader: &mut Reader<&[u8]>, member: &Member, shape: &'static Shape) -> Result<Value> {
    match shape {
        Shape::Struct(members) => Ok(Value::Object(structure(reader, members)?)),
        Shape::List(item) => list(reader, member, item),
        _ => scalar(&content(reader)?, member, shape),
    }
}

fn list(reader: &mut Reader<&[u8]>, member: &Member, item: &'static Shape) -> Result<Value> {
    let mut items = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) if is_named(&start, "item") => items.push(value(reader, member, item)?),
            Event::Empty(start) if is_named(&start, "item") => items.push(empty(member, item)?),
            Event::Start(start) => {
                reader.read_to_end(start.name())?;
            }
            Event::End(_) => return Ok(Value::Array(items)),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

/// What an element without content holds.
fn empty(member: &Member, shape: &Shape) -> Result<Value> {
    match shape {
        Shape::Struct(_) => Ok(Value::Object(Object::new())),
        Shape::List(_) => Ok(Value::Array(Vec::new())),
        _ => scalar("", member, shape),
    }
}

fn scalar(text: &str, member: &Member, shape: &Shape) -> Result<Value> {
    let wrong = || XmlError::Value { member: member.json, value: text.chars().take(60).collect() };
    match shape {
        Shape::Integer => text.trim().parse::<i64>().map(Value::from).map_err(|_| wrong()),
        Shape::Flag => match text.trim() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong()),
        },
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// The text up to the end of the element that was just begun.
fn content(reader: &mut Reader<&[u8]>) -> Result<String> {
    let mut text = String::new();
    loop {
        match reader.read_event()? {
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => {
                if let Some(letter) = reference.resolve_char_ref()? {
                    text.push(letter);
                } else {
                    let name = reference.xml10_content();
                    let known = resolve_predefined_entity(&name);
                    text.push_str(known.ok_or_else(|| XmlError::Entity(name.to_string()))?);
                }
            }
            Event::Start(start) => {
                reader.read_to_end(start.name())?;
            }
            Event::End(_) => return Ok(text),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

fn find(members: &'static [Member], start: &BytesStart<'_>) -> Option<&'static Member> {
    let name = name(start);
    members.iter().find(|member| member.is_at(&name))
}

fn is_named(start: &BytesStart<'_>, name: &str) -> bool {
    self::name(start) == name
}

fn name(start: &BytesStart<'_>) -> String {
    let name = start.local_name();
    let name: &str = name.as_ref();
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MEMBERS: &[Member] = &[
        Member::text("Name"),
        Member::flag("IsDefault").wire("default"),
        Member::object("PortRange", &[Member::integer("From")]),
        Member::list("Ids", &Shape::Text).wire("idSet"),
    ];

    fn read_text(text: &str) -> std::result::Result<Value, String> {
        read(text.as_bytes(), "Answer", MEMBERS).map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn shapes_become_json_and_what_is_unknown_is_skipped() {
        let text = r#"<?xml version="1.0"?><!-- c --><Answer xmlns="http://ec2.amazonaws.com/">
            <requestId>1</requestId><extra><name>inner</name></extra>
            <name>a &amp; b &#x2713;<![CDATA[<c>]]></name><default>true</default>
            <portRange><from>443</from><to>444</to></portRange>
            <idSet><item>x</item><item>y</item></idSet></Answer>"#;
        let wanted =
            json!({"Name": "a & b ✓<c>", "IsDefault": true, "PortRange": {"From": 443}, "Ids": ["x", "y"]});
        assert_eq!(read_text(text), Ok(wanted));
    }

    #[test]
    fn empty_elements_are_empty_values_and_absent_ones_absent() {
        let wanted = json!({"Name": "", "PortRange": {}, "Ids": []});
        assert_eq!(read_text("<Answer><name/><portRange/><idSet/></Answer>"), Ok(wanted.clone()));
        let open = "<Answer><name></name><portRange></portRange><idSet></idSet></Answer>";
        assert_eq!(read_text(open), Ok(wanted));
        assert_eq!(read_text("<Answer/>"), Ok(json!({})));
    }

    #[test]
    fn an_answer_that_is_none_is_an_error_and_never_an_empty_answer() {
        for (text, wanted) in [
            ("", "it breaks off"),
            ("<Answer><name>a", "it breaks off"),
            ("<Answer><idSet><item>a</item>", "it breaks off"),
            ("<html><body>sign in</body></html>", "`html` instead of the answer"),
            ("<Answer><default>perhaps</default></Answer>", "IsDefault is `perhaps`"),
            ("<Answer><portRange><from>x</from></portRange></Answer>", "From is `x`"),
            ("<Answer><name>&unknown;</name></Answer>", "an unknown entity `unknown`"),
            ("{\"not\": \"xml\"}", "it breaks off"),
        ] {
            assert_eq!(read_text(text), Err(wanted.to_owned()), "{text}");
        }
        assert!(read_text("<Answer><name>a</Answer>").is_err_and(|error| error.starts_with("not XML")));
    }

    #[test]
    fn both_kinds_of_errors_are_read() {
        let ec2 = "<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>";
        let sts = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AuthFailure</Code><Message>no</Message></Error></ErrorResponse>";
        for text in [ec2, sts] {
            assert_eq!(read_error(text.as_bytes()), (Some("AuthFailure".into()), Some("no".into())));
        }
        assert_eq!(read_error(b"<html>Bad Gateway"), (None, None));
    }
}
