//! `fonds catalog query` and `similar`: rows that an expression picks, pictures that look alike.

use std::io::{BufWriter, Write};
use std::path::Path;

use fonds_catalog::{Query, Record, column_text, compare_cells, put_csv_line};

use crate::args::QueryArgs;
use crate::exit::{Exit, Outcome};
use crate::report;

pub(crate) fn query(args: &QueryArgs) -> Outcome {
    let query = Query::parse(&args.expression)?;
    let columns = columns(&args.columns)?;
    let limit = args.limit.unwrap_or(u64::MAX);
    let mut out = Output {
        out: BufWriter::new(std::io::stdout().lock()),
        args,
        columns,
        line: String::new(),
    };
    let mut found = 0;
    let mut written = Ok(());
    if let Some(sort) = &args.sort {
        let (column, reverse) = match sort.strip_prefix('-') {
            Some(column) => (column, true),
            None => (sort.as_str(), false),
        };
        let column = fonds_catalog::column_number(column)?;
        let mut rows = Vec::new();
        fonds_catalog::query(&args.output, &query, |record| {
            rows.push((column_text(record, column), out.texts(record)));
            true
        })?;
        rows.sort_by(|(one, _), (other, _)| {
            let order = compare_cells(column, one, other);
            if reverse { order.reverse() } else { order }
        });
        found = rows.len() as u64;
        out.header()?;
        for (_, texts) in rows.iter().take(limit as usize) {
            out.row(texts)?;
        }
    } else {
        out.header()?;
        fonds_catalog::query(&args.output, &query, |record| {
            found += 1;
            if !args.count && found <= limit {
                let texts = out.texts(record);
                written = out.row(&texts);
            }
            written.is_ok() && (args.count || found < limit)
        })?;
    }
    written?;
    out.end(found)?;
    Ok(Exit::Done)
}

pub(crate) fn similar(output: &Path, distance: u32) -> Outcome {
    let groups = fonds_catalog::similar(output, distance)?;
    let mut text = String::new();
    put_csv_line(&["group", "objectid", "filename", "distance"], &mut text);
    for (number, group) in (1_u64..).zip(&groups) {
        for picture in group {
            let (number, distance) = (number.to_string(), picture.distance.to_string());
            let cells = [&number, &picture.objectid, &picture.filename, &distance];
            put_csv_line(&cells, &mut text);
        }
    }
    report::raw(&text);
    Ok(Exit::Done)
}

fn columns(names: &[String]) -> Result<Vec<usize>, fonds_core::Error> {
    let names = names.iter().map(|name| name.trim());
    names.map(fonds_catalog::column_number).collect()
}

struct Output<'a, W: Write> {
    out: W,
    args: &'a QueryArgs,
    columns: Vec<usize>,
    line: String,
}

impl<W: Write> Output<'_, W> {
    fn texts(&self, record: &Record) -> Vec<String> {
        let columns = self.columns.iter();
        columns.map(|column| column_text(record, *column)).collect()
    }

    fn header(&mut self) -> std::io::Result<()> {
        if self.args.json || self.args.count {
            return Ok(());
        }
        let names: Vec<_> = self.args.columns.iter().map(|name| name.trim()).collect();
        self.csv(&names)
    }

    fn row(&mut self, texts: &[String]) -> std::io::Result<()> {
        if self.args.count {
            return Ok(());
        }
        if !self.args.json {
            return self.csv(texts);
        }
        let names = self.args.columns.iter().map(|name| name.trim().to_owned());
        let pairs = names.zip(texts.iter().map(|text| text.as_str().into()));
        let object: serde_json::Map<String, serde_json::Value> = pairs.collect();
        writeln!(self.out, "{}", serde_json::Value::from(object))
    }

    fn csv<T: AsRef<str>>(&mut self, cells: &[T]) -> std::io::Result<()> {
        self.line.clear();
        put_csv_line(cells, &mut self.line);
        self.out.write_all(self.line.as_bytes())
    }

    fn end(&mut self, found: u64) -> std::io::Result<()> {
        if self.args.count {
            writeln!(self.out, "{found}")?;
        }
        self.out.flush()
    }
}
