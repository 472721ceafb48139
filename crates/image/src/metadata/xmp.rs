//! XMP packets: RDF in XML, read by namespace and not by prefix.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{QName, ResolveResult};
use quick_xml::reader::NsReader;

use super::text;
use crate::facts::Metadata;

/// Larger packets hold previews and edit histories of other programs, or nothing good.
const MAX_PACKET: usize = 16 << 20;
/// Deeper nesting than any real packet has.
const MAX_DEPTH: usize = 64;
/// More values than any real packet has of the properties that are read.
const MAX_VALUES: usize = 10_000;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// The prefix under which the properties of a namespace are looked up here.
fn prefix_of(uri: &str) -> Option<&'static str> {
    Some(match uri {
        "http://purl.org/dc/elements/1.1/" => "dc",
        "http://ns.adobe.com/xap/1.0/" => "xmp",
        "http://ns.adobe.com/xap/1.0/rights/" => "xmpRights",
        "http://ns.adobe.com/photoshop/1.0/" => "photoshop",
        "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/" => "Iptc4xmpCore",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29/" => "Iptc4xmpExt",
        "http://ns.adobe.com/tiff/1.0/" => "tiff",
        "http://ns.adobe.com/exif/1.0/" => "exif",
        "http://creativecommons.org/ns#" | "http://web.resource.org/cc/" => "cc",
        _ => return None,
    })
}

/// The properties that are read; others are passed over without being kept.
const PROPERTIES: [&str; 39] = [
    "dc:title",
    "dc:creator",
    "dc:description",
    "dc:subject",
    "dc:rights",
    "dc:source",
    "dc:identifier",
    "dc:language",
    "xmp:CreatorTool",
    "xmp:CreateDate",
    "xmpRights:WebStatement",
    "xmpRights:UsageTerms",
    "photoshop:City",
    "photoshop:State",
    "photoshop:Country",
    "photoshop:Credit",
    "photoshop:Source",
    "photoshop:TransmissionReference",
    "Iptc4xmpCore:Location",
    "Iptc4xmpCore:AltTextAccessibility",
    "Iptc4xmpExt:DigitalSourceType",
    "Iptc4xmpExt:LocationCreated/Iptc4xmpExt:Sublocation",
    "Iptc4xmpExt:LocationCreated/Iptc4xmpExt:City",
    "Iptc4xmpExt:LocationCreated/Iptc4xmpExt:ProvinceState",
    "Iptc4xmpExt:LocationCreated/Iptc4xmpExt:CountryName",
    "tiff:Artist",
    "tiff:Copyright",
    "tiff:ImageDescription",
    "tiff:Make",
    "tiff:Model",
    "tiff:Software",
    "exif:DateTimeDigitized",
    "exif:GPSLatitude",
    "exif:GPSLongitude",
    "cc:license",
    "Iptc4xmpExt:LocationShown/Iptc4xmpExt:Sublocation",
    "Iptc4xmpExt:LocationShown/Iptc4xmpExt:City",
    "Iptc4xmpExt:LocationShown/Iptc4xmpExt:ProvinceState",
    "Iptc4xmpExt:LocationShown/Iptc4xmpExt:CountryName",
];

/// What a packet says, and whether a part of it cannot be read; `None` when it is no XML with RDF.
pub(super) fn read(packet: &[u8]) -> Option<(Metadata, bool)> {
    if packet.len() > MAX_PACKET {
        return None;
    }
    let packet = to_text(packet);
    let mut values = Values::default();
    let found = Walk::new(&packet).run(&mut values);
    let broken = found.is_err();
    (values.has_rdf).then(|| (values.metadata(), broken))
}

/// The packet as text: XMP is UTF-8, rarely UTF-16.
fn to_text(packet: &[u8]) -> Cow<'_, str> {
    match packet {
        [0xFE, 0xFF, rest @ ..] => text::decode_utf16(rest, true).into(),
        [0xFF, 0xFE, rest @ ..] => text::decode_utf16(rest, false).into(),
        [0, b'<', ..] => text::decode_utf16(packet, true).into(),
        [b'<', 0, ..] => text::decode_utf16(packet, false).into(),
        _ => {
            let end = packet
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            let packet = &packet[..end];
            String::from_utf8_lossy(packet.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(packet))
        }
    }
}

/// The packet cannot be read any further.
struct Broken;

impl<E: std::error::Error> From<E> for Broken {
    fn from(_: E) -> Self {
        Self
    }
}

/// What an open element means.
enum Frame {
    /// Outside of the RDF: `x:xmpmeta` and whatever else wraps it.
    Wrapper,
    /// `rdf:RDF`, `rdf:Description`, a container, `rdf:value`.
    Rdf,
    /// An item of a container.
    Item,
    /// A property that is read, or one on the way to it.
    Property(String),
    /// A property of another namespace.
    Other,
}

struct Walk<'a> {
    reader: NsReader<&'a [u8]>,
    frames: Vec<(Frame, Option<String>)>,
    text: String,
    in_rdf: bool,
}

impl<'a> Walk<'a> {
    fn new(packet: &'a str) -> Self {
        let mut reader = NsReader::from_str(packet);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self {
            reader,
            frames: Vec::new(),
            text: String::new(),
            in_rdf: false,
        }
    }

    fn run(mut self, values: &mut Values) -> Result<(), Broken> {
        loop {
            match self.reader.read_event()? {
                Event::Start(start) => self.open(&start, values)?,
                Event::End(_) => self.close(values)?,
                Event::Text(text) => self.text.push_str(&text.xml10_content()),
                Event::CData(text) => self.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let letter = reference.resolve_char_ref().ok().flatten();
                    let letter = letter.or_else(|| entity(&reference));
                    self.text
                        .push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                Event::Eof => {
                    return if self.frames.is_empty() {
                        Ok(())
                    } else {
                        Err(Broken)
                    };
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, start: &BytesStart, values: &mut Values) -> Result<(), Broken> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(Broken);
        }
        self.text.clear();
        let frame = self.frame(start.name());
        values.has_rdf |= self.in_rdf;
        self.frames.push((frame, None));
        if !self.in_rdf {
            return Ok(());
        }
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.unwrap_or_else(|_| attribute.value.clone());
            self.attribute(attribute.key, &value, values);
        }
        Ok(())
    }

    fn frame(&mut self, name: QName) -> Frame {
        let (namespace, local) = self.reader.resolver().resolve_element(name);
        let ResolveResult::Bound(namespace) = namespace else {
            return if self.in_rdf {
                Frame::Other
            } else {
                Frame::Wrapper
            };
        };
        if namespace.0 == RDF {
            self.in_rdf |= local.as_ref() == "RDF";
            return if local.as_ref() == "li" {
                Frame::Item
            } else {
                Frame::Rdf
            };
        }
        match prefix_of(namespace.0) {
            _ if !self.in_rdf => Frame::Wrapper,
            Some(prefix) => Frame::Property(format!("{prefix}:{}", local.as_ref())),
            None => Frame::Other,
        }
    }

    /// Attributes are short forms of simple properties; some belong to RDF and XML.
    fn attribute(&mut self, name: QName, value: &str, values: &mut Values) {
        if name.as_ref() == "xml:lang" {
            if let Some((_, language)) = self.frames.last_mut() {
                *language = Some(value.to_owned());
            }
            return;
        }
        let (namespace, local) = self.reader.resolver().resolve_attribute(name);
        let ResolveResult::Bound(namespace) = namespace else {
            return;
        };
        if namespace.0 == RDF {
            if local.as_ref() == "resource" {
                values.add(self.path(None), None, value);
            }
        } else if let Some(prefix) = prefix_of(namespace.0) {
            let property = format!("{prefix}:{}", local.as_ref());
            values.add(self.path(Some(&property)), None, value);
        }
    }

    fn close(&mut self, values: &mut Values) -> Result<(), Broken> {
        if self.in_rdf && !self.text.trim().is_empty() {
            let language = self
                .frames
                .iter()
                .rev()
                .find_map(|(_, language)| language.clone());
            let text = std::mem::take(&mut self.text);
            values.add(self.path(None), language, &text);
        }
        self.text.clear();
        self.frames.pop().ok_or(Broken)?;
        Ok(())
    }

    /// The open properties from the outermost in, joined by `/`; `None` within a foreign one.
    fn path(&self, last: Option<&str>) -> Option<String> {
        let mut path = String::new();
        for (frame, _) in &self.frames {
            match frame {
                Frame::Property(name) => push_name(&mut path, name),
                Frame::Other => return None,
                Frame::Wrapper | Frame::Rdf | Frame::Item => {}
            }
        }
        if let Some(name) = last {
            push_name(&mut path, name);
        }
        Some(path)
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[derive(Default)]
struct Values {
    has_rdf: bool,
    /// Property, language, text, in the order of the packet.
    found: Vec<(&'static str, Option<String>, String)>,
}

impl Values {
    fn add(&mut self, path: Option<String>, language: Option<String>, text: &str) {
        let known = path.and_then(|path| PROPERTIES.into_iter().find(|known| *known == path));
        if let Some((known, text)) = known.zip(text::clean(text))
            && self.found.len() < MAX_VALUES
        {
            self.found.push((known, language, text));
        }
    }

    fn all(&self, property: &str) -> impl Iterator<Item = &(&'static str, Option<String>, String)> {
        self.found
            .iter()
            .filter(move |(known, _, _)| *known == property)
    }

    fn first(&self, property: &str) -> Option<String> {
        self.all(property).next().map(|(_, _, text)| text.clone())
    }

    /// The default language of a language alternative, else its first text.
    fn alternative(&self, property: &str) -> Option<String> {
        let is_default = |language: &Option<String>| language.as_deref() == Some("x-default");
        let default = self
            .all(property)
            .find(|(_, language, _)| is_default(language));
        default
            .map(|(_, _, text)| text.clone())
            .or_else(|| self.first(property))
    }

    fn list(&self, property: &str) -> Vec<String> {
        self.all(property)
            .map(|(_, _, text)| text.clone())
            .collect()
    }

    fn joined(&self, property: &str) -> Option<String> {
        let list = self.list(property);
        (!list.is_empty()).then(|| list.join("; "))
    }

    fn metadata(&self) -> Metadata {
        let rights = self
            .alternative("dc:rights")
            .or_else(|| self.alternative("tiff:Copyright"));
        let position = self.position();
        Metadata {
            title: self.alternative("dc:title"),
            creator: self
                .joined("dc:creator")
                .or_else(|| self.first("tiff:Artist")),
            description: self
                .alternative("dc:description")
                .or_else(|| self.alternative("tiff:ImageDescription")),
            subjects: self.list("dc:subject"),
            location: self.location(),
            rights_uri: self
                .first("xmpRights:WebStatement")
                .or_else(|| self.first("cc:license"))
                .or_else(|| rights.clone().filter(|text| is_rights_uri(text))),
            rights,
            credit: self.first("photoshop:Credit"),
            usage_terms: self.alternative("xmpRights:UsageTerms"),
            source: self
                .first("dc:source")
                .or_else(|| self.first("photoshop:Source")),
            identifier: self
                .first("dc:identifier")
                .or_else(|| self.first("photoshop:TransmissionReference")),
            language: self.joined("dc:language"),
            alt_text: self.alternative("Iptc4xmpCore:AltTextAccessibility"),
            digital_source_type: self.first("Iptc4xmpExt:DigitalSourceType"),
            scanner: text::device(self.first("tiff:Make"), self.first("tiff:Model")),
            software: self
                .first("xmp:CreatorTool")
                .or_else(|| self.first("tiff:Software")),
            date_digitized: ["exif:DateTimeDigitized", "xmp:CreateDate"]
                .into_iter()
                .find_map(|property| text::date(&self.first(property)?, None)),
            latitude: position.map(|(latitude, _)| latitude),
            longitude: position.map(|(_, longitude)| longitude),
        }
    }

    /// Sublocation, city, state and country of the first kind of place that is given.
    fn location(&self) -> Option<String> {
        let legacy = [
            "Iptc4xmpCore:Location",
            "photoshop:City",
            "photoshop:State",
            "photoshop:Country",
        ];
        let place = |kind: &str| {
            let fields = ["Sublocation", "City", "ProvinceState", "CountryName"];
            let field = |field| self.first(&format!("Iptc4xmpExt:{kind}/Iptc4xmpExt:{field}"));
            text::join(&fields.map(field), ", ")
        };
        text::join(&legacy.map(|property| self.first(property)), ", ")
            .or_else(|| place("LocationCreated"))
            .or_else(|| place("LocationShown"))
    }

    fn position(&self) -> Option<(f64, f64)> {
        let latitude = coordinate(&self.first("exif:GPSLatitude")?, 90.0)?;
        let longitude = coordinate(&self.first("exif:GPSLongitude")?, 180.0)?;
        Some((latitude, longitude))
    }
}

/// `48,51.5N`, `48,51,30N`, or decimal degrees.
fn coordinate(text: &str, most: f64) -> Option<f64> {
    let (digits, sign) = match text.trim().to_ascii_uppercase() {
        text if text.ends_with(['S', 'W']) => (text[..text.len() - 1].to_owned(), -1.0),
        text if text.ends_with(['N', 'E']) => (text[..text.len() - 1].to_owned(), 1.0),
        text => (text, 1.0),
    };
    let mut degrees = 0.0;
    for (part, by) in digits.splitn(3, ',').zip([1.0, 60.0, 3600.0]) {
        degrees += part.trim().parse::<f64>().ok()? / by;
    }
    (degrees.is_finite() && degrees.abs() <= most).then_some(sign * degrees)
}

/// Whether a rights text is one of the statements that are identified by their address.
fn is_rights_uri(text: &str) -> bool {
    let address = text
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    let hosts = [
        "rightsstatements.org/",
        "creativecommons.org/",
        "www.europeana.eu/rights/",
    ];
    let known = address.is_some_and(|(_, rest)| hosts.iter().any(|host| rest.starts_with(host)));
    known && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(body: &str) -> String {
        format!(
            "<?xpacket begin='\u{FEFF}' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta \
             xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='{RDF}' \
             xmlns:d='http://purl.org/dc/elements/1.1/' \
             xmlns:p='http://ns.adobe.com/photoshop/1.0/' \
             xmlns:e='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' \
             xmlns:c='http://creativecommons.org/ns#' \
             xmlns:x2='http://ns.adobe.com/exif/1.0/'>{body}</r:RDF></x:xmpmeta>\
             <?xpacket end='w'?>"
        )
    }

    fn parsed(body: &str) -> Metadata {
        let (metadata, broken) = read(packet(body).as_bytes()).unwrap();
        assert!(!broken, "{body}");
        metadata
    }

    #[test]
    fn namespaces_count_and_prefixes_do_not() {
        let found = parsed("<r:Description><d:source>box 7</d:source></r:Description>");
        assert_eq!(found.source.as_deref(), Some("box 7"));
        let other = "<r:Description xmlns:dc='http://example.org/'><dc:source>x</dc:source></r:Description>";
        assert_eq!(parsed(other), Metadata::default());
    }

    #[test]
    fn languages_lists_and_attributes() {
        let found = parsed(
            "<r:Description p:City='Köln' p:Country='DE'><d:title><r:Alt>\
             <r:li xml:lang='de'>Brücke</r:li><r:li xml:lang='x-default'>Bridge &amp; &#x44;am</r:li>\
             </r:Alt></d:title><d:creator><r:Seq><r:li>A</r:li><r:li>B</r:li></r:Seq></d:creator>\
             <d:subject><r:Bag><r:li>dam</r:li><r:li> </r:li><r:li><![CDATA[a<b]]></r:li></r:Bag>\
             </d:subject><c:license r:resource='https://creativecommons.org/publicdomain/zero/1.0/'/>\
             </r:Description>",
        );
        assert_eq!(found.title.as_deref(), Some("Bridge & Dam"));
        assert_eq!(found.creator.as_deref(), Some("A; B"));
        assert_eq!(found.subjects, ["dam", "a<b"]);
        assert_eq!(found.location.as_deref(), Some("Köln, DE"));
        let zero = "https://creativecommons.org/publicdomain/zero/1.0/";
        assert_eq!(found.rights_uri.as_deref(), Some(zero));
    }

    #[test]
    fn structures_do_not_leak_into_properties() {
        let found = parsed(
            "<r:Description><e:LocationCreated><r:Bag><r:li r:parseType='Resource'>\
             <e:City>Bonn</e:City></r:li></r:Bag></e:LocationCreated>\
             <m:DerivedFrom xmlns:m='http://ns.adobe.com/xap/1.0/mm/' d:source='not this'>\
             <d:title>nor this</d:title></m:DerivedFrom></r:Description>",
        );
        assert_eq!(found.location.as_deref(), Some("Bonn"));
        assert_eq!((found.title, found.source), (None, None));
    }

    #[test]
    fn places_on_earth() {
        let gps = |lat: &str, lon: &str| {
            let body = format!("<r:Description x2:GPSLatitude='{lat}' x2:GPSLongitude='{lon}'/>");
            let found = parsed(&body);
            found.latitude.zip(found.longitude)
        };
        assert_eq!(gps("48,30N", "9,15,36W"), Some((48.5, -9.26)));
        assert_eq!(gps("-48.5", "9"), Some((-48.5, 9.0)));
        assert_eq!(gps("98,0N", "9,0E"), None);
        assert_eq!(gps("north", "9,0E"), None);
    }

    #[test]
    fn rights_that_are_addresses() {
        let uri = "http://rightsstatements.org/vocab/NoC-US/1.0/";
        let found = parsed(&format!("<r:Description d:rights='{uri}'/>"));
        assert_eq!(found.rights_uri.as_deref(), Some(uri));
        assert_eq!(parsed("<r:Description d:rights='© A'/>").rights_uri, None);
    }

    #[test]
    fn other_encodings() {
        let text = packet("<r:Description d:source='Köln'/>");
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [wide, [text.as_bytes(), &[0; 9]].concat()] {
            assert_eq!(read(&bytes).unwrap().0.source.as_deref(), Some("Köln"));
        }
    }

    #[test]
    fn broken_packets_give_what_they_have() {
        let whole =
            packet("<r:Description><d:source>box</d:source><d:title>x</d:title></r:Description>");
        let cut = &whole[..whole.find("<d:title>").unwrap()];
        let (found, broken) = read(cut.as_bytes()).unwrap();
        assert_eq!((found.source.as_deref(), broken), (Some("box"), true));
        for nothing in ["", "no XML", "<html><body/></html>", "<a"] {
            assert!(read(nothing.as_bytes()).is_none(), "{nothing}");
        }
        let deep = packet(&"<d:source>".repeat(100_000));
        assert!(read(deep.as_bytes()).unwrap().1);
    }
}
