//! The XMP label of a derivative: what it is, what it came from, what was done to it.

use fonds_core::Digest;

use crate::facts::Metadata;

/// A packet that fits into one JPEG segment (65,533 bytes with its header), with room to spare.
const MAX_PACKET: usize = 60_000;
/// Letters of a text, tried in turn until the packet is small enough.
const TEXT_LIMITS: [usize; 6] = [8_000, 2_000, 500, 150, 40, 10];
/// Steps that are listed, the newest ones; the sidecar has them all.
const MAX_HISTORY: usize = 50;
/// Creators, subjects, languages that are listed.
const MAX_ITEMS: usize = 100;

/// Namespaces of the label: prefix and address.
const NAMESPACES: [(&str, &str); 12] = [
    ("dc", "http://purl.org/dc/elements/1.1/"),
    ("xmp", "http://ns.adobe.com/xap/1.0/"),
    ("xmpRights", "http://ns.adobe.com/xap/1.0/rights/"),
    ("xmpMM", "http://ns.adobe.com/xap/1.0/mm/"),
    ("stRef", "http://ns.adobe.com/xap/1.0/sType/ResourceRef#"),
    ("stEvt", "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"),
    ("photoshop", "http://ns.adobe.com/photoshop/1.0/"),
    ("tiff", "http://ns.adobe.com/tiff/1.0/"),
    (
        "Iptc4xmpCore",
        "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    ),
    ("Iptc4xmpExt", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("x", "adobe:ns:meta/"),
];

/// The file that a derivative was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedFrom {
    /// Its path, relative to the archive's root.
    pub path: String,
    /// Its digest: which bytes exactly.
    pub sha256: Digest,
}

/// One step of the derivative's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryEvent {
    /// A word of the XMP specification: `converted`, `cropped`, `edited`, `filtered`, `resized`,
    /// `saved` ….
    pub action: String,
    /// What was done, with its figures: `rotated by 1.25°`.
    pub parameters: Option<String>,
    /// What of the picture changed: `/` for all, `/metadata`, `/content`.
    pub changed: Option<String>,
    /// What did it: `fonds 0.1.0`, or a network with its version.
    pub software_agent: Option<String>,
}

/// What a derivative says about itself.
///
/// Nothing in it depends on when or where it is written, so the same derivative has the same
/// bytes in every run. The fields of the original ([`Label::from_original`]) are carried on; the
/// others are about the derivative.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// `dc:title`.
    pub title: Option<String>,
    /// `dc:creator`, one or several separated by `; `.
    pub creator: Option<String>,
    /// `dc:description`: what the picture shows, as with the original.
    pub description: Option<String>,
    /// `dc:subject`.
    pub subjects: Vec<String>,
    /// `dc:rights`.
    pub rights: Option<String>,
    /// `xmpRights:WebStatement`.
    pub rights_uri: Option<String>,
    /// `xmpRights:UsageTerms`.
    pub usage_terms: Option<String>,
    /// `photoshop:Credit`.
    pub credit: Option<String>,
    /// `dc:source`: where the original is kept, or its path.
    pub source: Option<String>,
    /// `dc:identifier`.
    pub identifier: Option<String>,
    /// `dc:language`.
    pub language: Option<String>,
    /// `Iptc4xmpCore:AltTextAccessibility`.
    pub alt_text: Option<String>,
    /// `xmpMM:DerivedFrom`.
    pub derived_from: Option<DerivedFrom>,
    /// What `xmpMM:DocumentID` is made from: a digest of everything that decides the content, so
    /// that equal derivatives have equal ids.
    pub document: Option<Digest>,
    /// `Iptc4xmpExt:DigitalSourceType`, an address of the IPTC vocabulary.
    pub digital_source_type: Option<String>,
    /// `Iptc4xmpExt:AISystemUsed` (IPTC Photo Metadata 2025.1).
    pub ai_system_used: Option<String>,
    /// `Iptc4xmpExt:AISystemVersionUsed`.
    pub ai_system_version_used: Option<String>,
    /// `xmp:CreatorTool`: `fonds 0.1.0`.
    pub creator_tool: Option<String>,
    /// `xmpMM:History`, oldest first.
    pub history: Vec<HistoryEvent>,
    /// The notice to whoever uses the picture: `AI-restored derivative; the unaltered original is
    /// a/IMG_1.tif`.
    ///
    /// It is written to `photoshop:Instructions`, the IPTC field for notes from the provider to
    /// the receiver, which picture agencies' and archives' programs show. `dc:description` says
    /// what the picture shows and would drag the notice into every catalogue that is filled from
    /// it; `xmpRights:UsageTerms` is for licences.
    pub notice: Option<String>,
}

impl Label {
    /// A label that carries on what the original says about its content and rights.
    pub fn from_original(metadata: &Metadata) -> Self {
        Self {
            title: metadata.title.clone(),
            creator: metadata.creator.clone(),
            description: metadata.description.clone(),
            subjects: metadata.subjects.clone(),
            rights: metadata.rights.clone(),
            rights_uri: metadata.rights_uri.clone(),
            usage_terms: metadata.usage_terms.clone(),
            credit: metadata.credit.clone(),
            source: metadata.source.clone(),
            identifier: metadata.identifier.clone(),
            language: metadata.language.clone(),
            alt_text: metadata.alt_text.clone(),
            digital_source_type: metadata.digital_source_type.clone(),
            ..Self::default()
        }
    }

    /// The XMP packet, at most 60,000 bytes: where texts are too long for that they are cut, with
    /// an ellipsis; the history keeps its newest 50 events, each list its first 100 items.
    pub fn to_packet(&self) -> String {
        let packets = TEXT_LIMITS.iter().map(|limit| self.packet(*limit));
        let mut last = String::new();
        for packet in packets {
            last = packet;
            if last.len() <= MAX_PACKET {
                break;
            }
        }
        last
    }

    fn packet(&self, limit: usize) -> String {
        let mut out = Writer {
            out: String::new(),
            limit,
        };
        out.raw("<?xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n");
        out.raw("<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n");
        out.raw("<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n");
        out.raw("<rdf:Description rdf:about=\"\"");
        for (prefix, address) in &NAMESPACES[..10] {
            out.raw(&format!("\n  xmlns:{prefix}=\"{address}\""));
        }
        out.raw(">\n");
        self.write_content(&mut out);
        self.write_rights(&mut out);
        self.write_origin(&mut out);
        self.write_history(&mut out);
        out.raw("</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"r\"?>");
        out.out
    }

    fn write_content(&self, out: &mut Writer) {
        out.alternative("dc:title", self.title.as_deref());
        let creators = self.creator.iter().flat_map(|names| names.split("; "));
        out.list("dc:creator", "Seq", creators);
        out.alternative("dc:description", self.description.as_deref());
        out.list(
            "dc:subject",
            "Bag",
            self.subjects.iter().map(String::as_str),
        );
        out.simple("dc:source", self.source.as_deref());
        out.simple("dc:identifier", self.identifier.as_deref());
        let languages = self.language.iter().flat_map(|names| names.split("; "));
        out.list("dc:language", "Bag", languages);
        out.alternative(
            "Iptc4xmpCore:AltTextAccessibility",
            self.alt_text.as_deref(),
        );
    }

    fn write_rights(&self, out: &mut Writer) {
        out.alternative("dc:rights", self.rights.as_deref());
        out.simple("xmpRights:WebStatement", self.rights_uri.as_deref());
        out.alternative("xmpRights:UsageTerms", self.usage_terms.as_deref());
        out.simple("photoshop:Credit", self.credit.as_deref());
        out.simple("photoshop:Instructions", self.notice.as_deref());
    }

    fn write_origin(&self, out: &mut Writer) {
        out.simple(
            "Iptc4xmpExt:DigitalSourceType",
            self.digital_source_type.as_deref(),
        );
        out.simple("Iptc4xmpExt:AISystemUsed", self.ai_system_used.as_deref());
        out.simple(
            "Iptc4xmpExt:AISystemVersionUsed",
            self.ai_system_version_used.as_deref(),
        );
        out.simple("xmp:CreatorTool", self.creator_tool.as_deref());
        out.simple("tiff:Orientation", Some("1"));
        let document = self.document.map(document_id);
        out.simple("xmpMM:DocumentID", document.as_deref());
        out.simple("xmpMM:InstanceID", document.as_deref());
        let Some(from) = &self.derived_from else {
            return;
        };
        out.simple("xmpMM:OriginalDocumentID", Some(&document_id(from.sha256)));
        out.raw("  <xmpMM:DerivedFrom rdf:parseType=\"Resource\">\n");
        out.simple("stRef:filePath", Some(&from.path));
        out.simple("stRef:documentID", Some(&document_id(from.sha256)));
        out.simple("stRef:instanceID", Some(&format!("sha256:{}", from.sha256)));
        out.raw("  </xmpMM:DerivedFrom>\n");
    }

    fn write_history(&self, out: &mut Writer) {
        if self.history.is_empty() {
            return;
        }
        out.raw("  <xmpMM:History><rdf:Seq>\n");
        let oldest = self.history.len().saturating_sub(MAX_HISTORY);
        for event in &self.history[oldest..] {
            out.raw("  <rdf:li rdf:parseType=\"Resource\">\n");
            out.simple("stEvt:action", Some(&event.action));
            out.simple("stEvt:changed", event.changed.as_deref());
            out.simple("stEvt:parameters", event.parameters.as_deref());
            out.simple("stEvt:softwareAgent", event.software_agent.as_deref());
            out.raw("  </rdf:li>\n");
        }
        out.raw("  </rdf:Seq></xmpMM:History>\n");
    }
}

/// A UUID of version 8 (RFC 9562, 5.8) from the first bytes of a digest.
fn document_id(digest: Digest) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    bytes[6] = 0x80 | (bytes[6] & 0x0F);
    bytes[8] = 0x80 | (bytes[8] & 0x3F);
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
    format!("uuid:{a}-{b}-{c}-{}-{}", &hex[16..20], &hex[20..])
}

struct Writer {
    out: String,
    limit: usize,
}

impl Writer {
    fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn simple(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = self.escaped(text) {
            self.raw(&format!("  <{name}>{text}</{name}>\n"));
        }
    }

    fn alternative(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = self.escaped(text) {
            let item = format!("<rdf:li xml:lang=\"x-default\">{text}</rdf:li>");
            self.raw(&format!("  <{name}><rdf:Alt>{item}</rdf:Alt></{name}>\n"));
        }
    }

    fn list<'a>(&mut self, name: &str, kind: &str, items: impl Iterator<Item = &'a str>) {
        let items: Vec<String> = items
            .take(MAX_ITEMS)
            .filter_map(|item| self.escaped(Some(item)))
            .collect();
        if !items.is_empty() {
            let items = items.join("</rdf:li><rdf:li>");
            let list = format!("<rdf:{kind}><rdf:li>{items}</rdf:li></rdf:{kind}>");
            self.raw(&format!("  <{name}>{list}</{name}>\n"));
        }
    }

    /// The text for an element, cut to the limit; `None` when nothing is to be said.
    fn escaped(&self, text: Option<&str>) -> Option<String> {
        let text = text?.trim();
        let mut letters = text.chars().filter(|letter| is_xml(*letter));
        let mut escaped = String::new();
        for letter in letters.by_ref().take(self.limit) {
            match letter {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '\r' => escaped.push_str("&#13;"),
                _ => escaped.push(letter),
            }
        }
        if letters.next().is_some() {
            escaped.push('…');
        }
        (!escaped.is_empty()).then_some(escaped)
    }
}

/// Whether XML 1.0 allows a character.
fn is_xml(letter: char) -> bool {
    match letter {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        _ => letter >= ' ',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metadata::xmp;

    fn full() -> Label {
        Label {
            title: Some("Brücke <1905> & Damm (AI restored)".into()),
            creator: Some("A. Müller; B.".into()),
            subjects: vec!["dam".into(), "river".into()],
            rights: Some("© Archiv".into()),
            rights_uri: Some("http://rightsstatements.org/vocab/NoC-US/1.0/".into()),
            source: Some("a/IMG_1.tif".into()),
            derived_from: Some(DerivedFrom {
                path: "a/IMG_1.tif".into(),
                sha256: Digest::of(b"abc"),
            }),
            document: Some(Digest::of(b"")),
            digital_source_type: Some(
                "http://cv.iptc.org/newscodes/digitalsourcetype/print".into(),
            ),
            creator_tool: Some("fonds 0.1.0".into()),
            history: vec![HistoryEvent {
                action: "edited".into(),
                parameters: Some("rotated by 1.25°".into()),
                changed: Some("/".into()),
                software_agent: Some("fonds 0.1.0".into()),
            }],
            notice: Some("AI-restored derivative".into()),
            ..Label::default()
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let label = full();
        let (found, broken) = xmp::read(label.to_packet().as_bytes()).unwrap();
        assert!(!broken);
        assert_eq!(found.title, label.title);
        assert_eq!(found.creator, label.creator);
        assert_eq!(found.subjects, label.subjects);
        assert_eq!(found.rights, label.rights);
        assert_eq!(found.rights_uri, label.rights_uri);
        assert_eq!(found.source, label.source);
        assert_eq!(found.digital_source_type, label.digital_source_type);
        assert_eq!(found.software, label.creator_tool);
        assert_eq!(Label::from_original(&found).rights_uri, label.rights_uri);
    }

    #[test]
    fn ids_come_from_digests() {
        let packet = full().to_packet();
        // SHA-256("") = e3b0c442 98fc1c14 9afbf4c8 996fb924 …, with version 8 and variant 2.
        assert!(packet.contains("uuid:e3b0c442-98fc-8c14-9afb-f4c8996fb924"));
        assert!(
            packet.contains(
                "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            )
        );
        assert_eq!(packet, full().to_packet());
    }

    #[test]
    fn the_worst_label_still_fits() {
        let worst = || Some("&".repeat(20_000));
        let event = HistoryEvent {
            action: "&".repeat(20_000),
            parameters: worst(),
            changed: worst(),
            software_agent: worst(),
        };
        let label = Label {
            title: worst(),
            description: worst(),
            notice: worst(),
            creator: Some("&&&&&&&&&&&&&; ".repeat(1_000)),
            language: Some("&&&&&&&&&&&&&; ".repeat(1_000)),
            subjects: vec!["&".repeat(1_000); 10_000],
            history: vec![event; 1_000],
            ..full()
        };
        assert!(
            label.to_packet().len() <= MAX_PACKET,
            "{}",
            label.to_packet().len()
        );
    }

    #[test]
    fn long_labels_still_fit_into_a_jpeg() {
        let mut label = full();
        label.description = Some("ä&".repeat(100_000));
        label.subjects = vec!["x".repeat(1_000); 300];
        label.history = vec![
            HistoryEvent {
                parameters: Some("<".repeat(5_000)),
                ..label.history[0].clone()
            };
            500
        ];
        let packet = label.to_packet();
        assert!(packet.len() <= MAX_PACKET, "{}", packet.len());
        let (found, broken) = xmp::read(packet.as_bytes()).unwrap();
        assert!(!broken && found.description.unwrap().ends_with('…'));
        assert_eq!(found.rights, label.rights);
    }

    proptest! {
        #[test]
        fn any_text_makes_a_valid_packet(text in any::<String>()) {
            let label = Label { title: Some(text.clone()), source: Some(text), ..Label::default() };
            let packet = label.to_packet();
            let (_, broken) = xmp::read(packet.as_bytes()).unwrap();
            prop_assert!(!broken);
        }
    }
}
