//! Metadata in every container that it comes in, the order of its sources, and what is made of
//! damaged files.

use std::io::{Cursor, Write};

use flate2::{Compression, write::ZlibEncoder};
use fonds_core::{Flag, PixelFormat, Raster};
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_image::facts::Metadata;
use fonds_image::metadata::{self, label::Label};
use fonds_image::sniff::Format;
use proptest::prelude::*;

fn xmp(title: &str) -> String {
    let label = Label {
        title: Some(title.to_owned()),
        ..Label::default()
    };
    label.to_packet()
}

/// An Exif block with an artist.
fn exif(artist: &str) -> Vec<u8> {
    let size = artist.len() as u32 + 1;
    let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x3B\0\x02".to_vec();
    block.extend(size.to_be_bytes());
    block.extend(26_u32.to_be_bytes());
    block.extend([0; 4]);
    block.extend(artist.as_bytes());
    block.push(0);
    block
}

fn iptc(sets: &[(u8, &str)]) -> Vec<u8> {
    let mut record = b"\x1C\x01\x5A\0\x03\x1B%G".to_vec();
    for (number, text) in sets {
        record.extend([0x1C, 2, *number]);
        record.extend((text.len() as u16).to_be_bytes());
        record.extend(text.as_bytes());
    }
    record
}

fn photoshop(record: &[u8]) -> Vec<u8> {
    let mut block = b"8BIM\x04\x04\0\0".to_vec();
    block.extend((record.len() as u32).to_be_bytes());
    block.extend(record);
    block
}

fn jpeg(segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\xFF\xD8".to_vec();
    for (marker, data) in segments {
        file.extend([0xFF, *marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(data);
    }
    file.extend(b"\xFF\xDA\0\x08\x01\x01\0\0\x3F\0scan\xFF\xD9");
    file
}

fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1A\n".to_vec();
    for (name, data) in chunks {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(*name);
        file.extend(data);
        file.extend([0; 4]);
    }
    file.extend(b"\0\0\0\0IEND\xAEB`\x82");
    file
}

fn webp(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (name, data) in chunks {
        body.extend(*name);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(data);
        body.resize(body.len().next_multiple_of(2), 0);
    }
    [&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

fn jp2(boxes: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\0\0\0\x0CjP  \r\n\x87\n".to_vec();
    for (name, data) in boxes {
        file.extend((data.len() as u32 + 8).to_be_bytes());
        file.extend(*name);
        file.extend(data);
    }
    file
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn hexadecimal(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut text = format!("\n{name}\n{:8}", bytes.len());
    for (i, byte) in bytes.iter().enumerate() {
        text.push_str(if i % 36 == 0 { "\n" } else { "" });
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');
    text.into_bytes()
}

fn keyword(keyword: &str, rest: &[&[u8]]) -> Vec<u8> {
    [keyword.as_bytes(), b"\0", &rest.concat()].concat()
}

fn found(file: &[u8], format: Format) -> Metadata {
    let (metadata, flags) = metadata::read(file, format);
    assert!(flags.is_empty(), "{flags:?}");
    metadata
}

fn titled(metadata: &Metadata) -> &str {
    metadata.title.as_deref().unwrap_or_default()
}

const XMP_SEGMENT: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

#[test]
fn xmp_comes_before_iptc_before_exif() {
    let all = [
        (0xE1, [b"Exif\0\0", &exif("by Exif")[..]].concat()),
        (0xE1, [XMP_SEGMENT, xmp("by XMP").as_bytes()].concat()),
        (0xED, {
            let record = iptc(&[(5, "by IPTC"), (120, "a dam"), (80, "by IPTC")]);
            [&b"Photoshop 3.0\0"[..], &photoshop(&record)].concat()
        }),
    ];
    let metadata = found(&jpeg(&all), Format::Jpeg);
    assert_eq!(titled(&metadata), "by XMP");
    assert_eq!(metadata.creator.as_deref(), Some("by IPTC"));
    assert_eq!(metadata.description.as_deref(), Some("a dam"));
    let metadata = found(&jpeg(&all[..1]), Format::Jpeg);
    assert_eq!(metadata.creator.as_deref(), Some("by Exif"));
}

#[test]
fn photoshop_records_may_be_split_over_segments() {
    let whole = photoshop(&iptc(&[(5, "split title")]));
    let segments: Vec<_> = whole
        .chunks(11)
        .map(|part| (0xED, [b"Photoshop 3.0\0", part].concat()))
        .collect();
    assert_eq!(
        titled(&found(&jpeg(&segments), Format::Jpeg)),
        "split title"
    );
}

#[test]
fn extended_xmp_is_joined_and_comes_second() {
    let name = "0123456789ABCDEF0123456789ABCDEF";
    let main = xmp("main").replace(
        "<dc:title>",
        &format!("<dc:format>{name}</dc:format><dc:title>"),
    );
    let label = Label {
        title: Some("extended".into()),
        source: Some("box 7".into()),
        ..Label::default()
    };
    let packet = label.to_packet();
    let mut segments = vec![(0xE1, [XMP_SEGMENT, main.as_bytes()].concat())];
    // The parts come in any order.
    for (i, part) in packet.as_bytes().chunks(500).enumerate().rev() {
        let mut segment = b"http://ns.adobe.com/xmp/extension/\0".to_vec();
        segment.extend(name.as_bytes());
        segment.extend((packet.len() as u32).to_be_bytes());
        segment.extend((i as u32 * 500).to_be_bytes());
        segment.extend(part);
        segments.push((0xE1, segment));
    }
    let metadata = found(&jpeg(&segments), Format::Jpeg);
    assert_eq!(titled(&metadata), "main");
    assert_eq!(metadata.source.as_deref(), Some("box 7"));
    segments.remove(2);
    let (metadata, flags) = metadata::read(&jpeg(&segments), Format::Jpeg);
    assert_eq!(metadata.source, None);
    assert!(flags.contains(&Flag::MetadataUnreadable));
}

#[test]
fn png_chunks_of_all_kinds() {
    let packet = xmp("by XMP");
    let profile = |kind: &str, bytes: &[u8]| {
        let text = hexadecimal(kind, bytes);
        (
            b"zTXt",
            keyword(&format!("Raw profile type {kind}"), &[&[0], &zlib(&text)]),
        )
    };
    let both = [b"Exif\0\0", &exif("by Exif")[..]].concat();
    let cases: [(&[u8; 4], Vec<u8>); 8] = [
        (b"eXIf", exif("by Exif")),
        (
            b"iTXt",
            keyword("XML:com.adobe.xmp", &[&[0, 0, 0, 0], packet.as_bytes()]),
        ),
        (
            b"iTXt",
            keyword(
                "XML:com.adobe.xmp",
                &[&[1, 0, 0, 0], &zlib(packet.as_bytes())],
            ),
        ),
        profile("exif", &both),
        profile("iptc", &photoshop(&iptc(&[(5, "by IPTC")]))),
        profile("xmp", packet.as_bytes()),
        (b"tEXt", keyword("Title", &[b"by text \xE4"])),
        (b"zTXt", keyword("Author", &[&[0], &zlib(b"by text")])),
    ];
    let expected = [
        "",
        "by XMP",
        "by XMP",
        "",
        "by IPTC",
        "by XMP",
        "by text ä",
        "",
    ];
    let creators = ["by Exif", "", "", "by Exif", "", "", "", "by text"];
    for ((case, title), creator) in cases.into_iter().zip(expected).zip(creators) {
        // Text may also stand behind the pixels.
        let file = png(&[(b"IHDR", vec![0; 13]), (b"IDAT", vec![1; 99]), case]);
        let metadata = found(&file, Format::Png);
        assert_eq!(
            (
                titled(&metadata),
                metadata.creator.as_deref().unwrap_or_default()
            ),
            (title, creator)
        );
    }
}

#[test]
fn other_containers() {
    let packet = xmp("by XMP");
    let chunks = [
        (b"EXIF", exif("by Exif")),
        (b"XMP ", packet.clone().into_bytes()),
    ];
    let metadata = found(&webp(&chunks), Format::WebP);
    assert_eq!(
        (titled(&metadata), metadata.creator.as_deref()),
        ("by XMP", Some("by Exif"))
    );

    let uuid = |id: &[u8], data: &[u8]| (b"uuid", [id, data].concat());
    let xmp_id = b"\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC";
    let file = jp2(&[
        uuid(xmp_id, packet.as_bytes()),
        uuid(b"JpgTiffExif->JP2", &exif("by Exif")),
        (b"jp2c", vec![0; 50]),
    ]);
    let metadata = found(&file, Format::Jpeg2000);
    assert_eq!(
        (titled(&metadata), metadata.creator.as_deref()),
        ("by XMP", Some("by Exif"))
    );

    let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
    gif.extend(b"\x21\xFE\x03abc\0\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0");
    gif.extend(b"\x21\xFF\x0BXMP DataXMP");
    gif.extend(packet.as_bytes());
    gif.push(1);
    gif.extend((0..=255_u8).rev());
    gif.extend(b"\0;");
    assert_eq!(titled(&found(&gif, Format::Gif)), "by XMP");
}

#[test]
fn tiff_tags_and_blocks_in_them() {
    let packet = xmp("by XMP");
    let embedded = Embedded {
        xmp: Some(&packet),
        copyright: Some("© Archiv"),
        artist: Some("A. Müller"),
        software: Some("fonds 0.1.0"),
    };
    let raster = Raster::new(5, 4, PixelFormat::GRAY8);
    for encoding in [
        Encoding::TIFF,
        Encoding::PNG,
        Encoding::JPEG,
        Encoding::WEBP,
    ] {
        let mut file = Cursor::new(Vec::new());
        encode(&raster, &encoding, &embedded, &mut file).unwrap();
        let format = match encoding {
            Encoding::Tiff { .. } => Format::Tiff,
            Encoding::Png { .. } => Format::Png,
            Encoding::Jpeg { .. } => Format::Jpeg,
            Encoding::WebP { .. } => Format::WebP,
        };
        let metadata = found(&file.into_inner(), format);
        assert_eq!(titled(&metadata), "by XMP");
        assert_eq!(metadata.creator.as_deref(), Some("A. Müller"));
        assert_eq!(metadata.rights.as_deref(), Some("© Archiv"));
        assert_eq!(metadata.software.as_deref(), Some("fonds 0.1.0"));
    }
}

#[test]
fn blocks_that_cannot_be_read_are_flagged() {
    let text = |keyword_: &str, rest: &[u8]| (b"zTXt", keyword(keyword_, &[&[0], rest]));
    let files = [
        (jpeg(&[(0xE1, b"Exif\0\0nonsense".to_vec())]), Format::Jpeg),
        (jpeg(&[(0xE1, [XMP_SEGMENT, b"<x"].concat())]), Format::Jpeg),
        (png(&[text("Title", b"not zlib")]), Format::Png),
        (
            png(&[text("Raw profile type exif", &zlib(b"\nexif\n 9\nxyz"))]),
            Format::Png,
        ),
        (webp(&[(b"EXIF", b"II".to_vec())]), Format::WebP),
    ];
    for (file, format) in files {
        let (metadata, flags) = metadata::read(&file, format);
        assert_eq!(metadata, Metadata::default());
        assert!(flags.contains(&Flag::MetadataUnreadable), "{format:?}");
    }
    // What is not read need not be readable.
    let (_, flags) = metadata::read(&png(&[text("Comment", b"not zlib")]), Format::Png);
    assert!(flags.is_empty());
}

#[test]
fn compressed_bombs_are_cut_short() {
    let bomb = zlib(&vec![b' '; 40 << 20]);
    let chunks: Vec<_> = (0..50)
        .map(|_| (b"zTXt", keyword("Title", &[&[0], &bomb])))
        .collect();
    let started = std::time::Instant::now();
    let (_, flags) = metadata::read(&png(&chunks), Format::Png);
    assert!(flags.contains(&Flag::MetadataUnreadable));
    assert!(started.elapsed().as_secs() < 5);
}

fn samples() -> Vec<(Vec<u8>, Format)> {
    let packet = xmp("title").into_bytes();
    let record = photoshop(&iptc(&[(5, "title"), (25, "subject")]));
    let profile = zlib(&hexadecimal("iptc", &record));
    let id = b"\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC";
    vec![
        (
            jpeg(&[
                (0xE1, [b"Exif\0\0", &exif("artist")[..]].concat()),
                (0xED, [b"Photoshop 3.0\0", &record[..]].concat()),
                (0xE1, [XMP_SEGMENT, &packet].concat()),
            ]),
            Format::Jpeg,
        ),
        (
            png(&[
                (b"eXIf", exif("artist")),
                (b"zTXt", keyword("Raw profile type iptc", &[&[0], &profile])),
                (
                    b"iTXt",
                    keyword("XML:com.adobe.xmp", &[&[1, 0, 0, 0], &zlib(&packet)]),
                ),
            ]),
            Format::Png,
        ),
        (
            webp(&[(b"EXIF", exif("a")), (b"XMP ", packet.clone())]),
            Format::WebP,
        ),
        (
            jp2(&[(b"uuid", [&id[..], &packet].concat())]),
            Format::Jpeg2000,
        ),
        (exif("artist"), Format::Tiff),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_never_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        for (file, format) in samples() {
            let mut damaged = file.clone();
            for (place, value) in &places {
                let place = place.index(damaged.len());
                damaged[place] = *value;
            }
            let _ = metadata::read(&damaged, format);
            let _ = metadata::read(&damaged[..cut.index(damaged.len())], format);
        }
    }

    #[test]
    fn any_bytes_in_any_format(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let formats = [
            Format::Jpeg, Format::Tiff, Format::Png, Format::WebP, Format::Jpeg2000, Format::Gif,
            Format::Bmp, Format::Pnm,
        ];
        for format in formats {
            let _ = metadata::read(&bytes, format);
        }
    }
}
