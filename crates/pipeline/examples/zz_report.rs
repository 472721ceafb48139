//! Temporary.
#![allow(clippy::print_stderr)]
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let options = fonds_pipeline::ReportOptions { target: args[2].clone().into(), input: None, workers: 2, limits: fonds_core::Limits::DEFAULT };
    let t = std::time::Instant::now();
    let made = fonds_pipeline::write_report(args[1].as_ref(), &options, &|event| {
        if !matches!(event, fonds_pipeline::ReportEvent::Finished { .. }) {
            eprintln!("{event:?}");
        }
    });
    eprintln!("{made:?} {:?}", t.elapsed());
}
