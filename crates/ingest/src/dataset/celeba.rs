//! The layout of `CelebA` (Liu et al. 2015): aligned faces, 40 attributes, and a partition.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fonds_core::{Code, Error, Result};

use super::{Label, Listing, Options, Skipped, folder};

/// Where the pictures lie: in the distribution, and in the copies of it that are in use.
const PICTURES: [&str; 3] = [
    "img_align_celeba/img_align_celeba",
    "img_align_celeba",
    "Img/img_align_celeba",
];
const FOLDERS: [&str; 3] = ["", "Anno", "Eval"];
/// Attributes that an error lists.
const LISTED: usize = 40;

/// Attributes in the order of the columns, and rows by file name.
struct Attributes {
    names: Vec<String>,
    rows: HashMap<String, Vec<bool>>,
}

pub(super) fn list(path: &Path, wanted: &[String], options: &Options) -> Result<Listing> {
    let pictures = pictures(path)?;
    let table = attribute_table(path)?;
    let columns = columns(&table, wanted).map_err(|error| error.at_path(path))?;
    let partition = partition(path)?;
    let (found, mut skipped) = folder::entries(&pictures, options)?;
    let mut entries = Vec::with_capacity(found.len());
    for mut entry in found {
        let Some(row) = table.rows.get(&entry.name) else {
            let why = "the list of attributes does not have it".to_owned();
            skipped.push(Skipped {
                name: entry.name,
                why,
            });
            continue;
        };
        entry.label = Some(Label::Attributes(columns.iter().map(|&i| row[i]).collect()));
        if let Some(partition) = &partition {
            let Some(part) = partition.get(&entry.name) else {
                let why = "the partition does not have it".to_owned();
                skipped.push(Skipped {
                    name: entry.name,
                    why,
                });
                continue;
            };
            entry.held_out = Some(*part != 0);
        }
        entries.push(entry);
    }
    Ok(Listing {
        sides: vec![entries],
        classes: columns.iter().map(|&i| table.names[i].clone()).collect(),
        skipped,
    })
}

fn pictures(path: &Path) -> Result<PathBuf> {
    let folders = PICTURES.iter().map(|name| path.join(name));
    folders
        .into_iter()
        .find(|folder| folder.is_dir())
        .ok_or_else(|| {
            Error::new(Code::Unreadable, "there is no folder `img_align_celeba`").at_path(path)
        })
}

/// The list of this name, as text or as CSV, where distributions have it.
fn find(path: &Path, name: &str) -> Option<PathBuf> {
    let folders = FOLDERS.iter().map(|folder| path.join(folder));
    let files =
        folders.flat_map(|folder| ["txt", "csv"].map(|end| folder.join(name).with_extension(end)));
    files.into_iter().find(|file| file.is_file())
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::from_io(error, Code::Unreadable, "the list cannot be read").at_path(file)
    })
}

/// The fields of each line that is not empty, with the line's number.
fn lines(text: &str) -> impl Iterator<Item = (u32, Vec<&str>)> {
    text.lines().zip(1..).filter_map(|(line, number)| {
        let parts = line.split(|c: char| c == ',' || c.is_whitespace());
        let fields: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        (!fields.is_empty()).then_some((number, fields))
    })
}

fn attribute_table(path: &Path) -> Result<Attributes> {
    let file = find(path, "list_attr_celeba").ok_or_else(|| {
        Error::new(Code::Unreadable, "there is no `list_attr_celeba.txt`").at_path(path)
    })?;
    let text = read(&file)?;
    parse_attributes(&text).map_err(|error| error.at_path(&file))
}

fn parse_attributes(text: &str) -> Result<Attributes> {
    let wrong = |message: String| Error::new(Code::Corrupt, message);
    let mut lines = lines(text).peekable();
    // The text begins with the number of pictures, the CSV does not.
    let count = lines.peek().filter(|(_, fields)| fields.len() == 1);
    let count = count.and_then(|(_, fields)| fields[0].parse::<usize>().ok());
    if count.is_some() {
        lines.next();
    }
    let (_, header) = lines
        .next()
        .ok_or_else(|| wrong("the list of attributes is empty".to_owned()))?;
    let mut names: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    if names.first().is_some_and(|first| first == "image_id") {
        names.remove(0);
    }
    let mut rows = HashMap::new();
    for (number, fields) in lines {
        if fields.len() != names.len() + 1 {
            let message = format!(
                "{} attributes are expected (found {})",
                names.len(),
                fields.len() - 1
            );
            return Err(wrong(message).on_line(number));
        }
        let values: Option<Vec<bool>> = fields[1..]
            .iter()
            .map(|&text| match text {
                "1" => Some(true),
                "-1" | "0" => Some(false),
                _ => None,
            })
            .collect();
        let values =
            values.ok_or_else(|| wrong("attributes are 1 or -1".to_owned()).on_line(number))?;
        rows.insert(fields[0].to_owned(), values);
    }
    if let Some(count) = count.filter(|&count| count != rows.len()) {
        return Err(wrong(format!(
            "{count} pictures are announced (found {})",
            rows.len()
        )));
    }
    Ok(Attributes { names, rows })
}

fn columns(table: &Attributes, wanted: &[String]) -> Result<Vec<usize>> {
    if wanted.is_empty() {
        return Ok((0..table.names.len()).collect());
    }
    let position = |name: &String| {
        table
            .names
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let known = table
                    .names
                    .iter()
                    .take(LISTED)
                    .map(String::as_str)
                    .collect::<Vec<_>>();
                Error::new(
                    Code::InvalidRequest,
                    format!("there is no attribute `{name}`"),
                )
                .hint(format!("the attributes are {}", known.join(", ")))
            })
    };
    wanted.iter().map(position).collect()
}

/// The part of each file: 0 for training, 1 for validation, 2 for tests.
fn partition(path: &Path) -> Result<Option<HashMap<String, u8>>> {
    let Some(file) = find(path, "list_eval_partition") else {
        return Ok(None);
    };
    let text = read(&file)?;
    let mut parts = HashMap::new();
    for (number, fields) in lines(&text) {
        let part = fields.get(1).and_then(|part| part.parse().ok());
        match part {
            Some(part) if fields.len() == 2 && part <= 2 => {
                parts.insert(fields[0].to_owned(), part);
            }
            _ if fields[0] == "image_id" => {}
            _ => {
                let message = "a file name and 0, 1 or 2 are expected";
                return Err(Error::new(Code::Corrupt, message)
                    .at_path(&file)
                    .on_line(number));
            }
        }
    }
    Ok(Some(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_csv_say_the_same() {
        let text = "2\nBald Young\n000001.jpg -1  1\n000002.jpg  1 -1\n";
        let csv = "image_id,Bald,Young\n000001.jpg,-1,1\n000002.jpg,1,-1\n";
        for list in [text, csv] {
            let table = parse_attributes(list).unwrap();
            assert_eq!(table.names, ["Bald", "Young"]);
            assert_eq!(table.rows["000001.jpg"], [false, true]);
            assert_eq!(columns(&table, &["young".to_owned()]).unwrap(), [1]);
            let error = columns(&table, &["Smile".to_owned()]).unwrap_err();
            assert!(error.hints()[0].contains("Bald, Young"));
        }
    }

    #[test]
    fn bad_lists_are_refused_with_their_line() {
        for (list, what) in [
            ("", "empty"),
            ("2\nBald\n1.jpg 1\n", "2 pictures are announced (found 1)"),
            (
                "Bald\n1.jpg 1 1\n",
                "line 2: 1 attributes are expected (found 2)",
            ),
            ("Bald\n1.jpg x\n", "line 2: attributes are 1 or -1"),
        ] {
            let error = parse_attributes(list).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
