//! Shell completions and the manual page, generated from the arguments.

use clap::CommandFactory;

use crate::args::Args;
use crate::exit::{Exit, Outcome};

pub(crate) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "fonds", &mut out);
    crate::report::raw(&String::from_utf8_lossy(&out));
    Exit::Done
}

pub(crate) fn man() -> Outcome {
    let mut out = Vec::new();
    let mut command = Args::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        out.extend_from_slice(
            format!(".SH \"FONDS {}\"\n", sub.get_name().to_uppercase()).as_bytes(),
        );
        let page = clap_mangen::Man::new(sub.clone());
        page.render_description_section(&mut out)?;
        page.render_options_section(&mut out)?;
    }
    crate::report::raw(&String::from_utf8_lossy(&out));
    Ok(Exit::Done)
}
