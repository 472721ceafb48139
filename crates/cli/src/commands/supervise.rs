//! `fonds run` as the user starts it: a second process does the work, so that a crash or a failed
//! allocation in it costs the file in flight and not the run.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use fonds_pipeline::interrupted;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::args::RunArgs;
use crate::exit::Exit;
use crate::report;

/// A process that dies without a file in flight is not tried again; one that dies on files is, as
/// long as each death teaches something.
const MAX_DEATHS: u32 = 1000;

/// Runs the work in a second process until it ends by itself.
pub(crate) fn supervise(args: &RunArgs) -> Result<u8> {
    let control: Arc<Mutex<Option<Child>>> = Arc::new(Mutex::new(None));
    let terminated = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicBool::new(false));
    forward_signals(&control, &terminated, &asked)?;
    let mut suspects: Vec<String> = Vec::new();
    let mut crashed: Vec<String> = Vec::new();
    for _ in 0..MAX_DEATHS {
        let status = work(&control, &suspects, &crashed)?;
        if let Some(code) = status.code() {
            let code = u8::try_from(code).unwrap_or(Exit::Internal.number());
            let interrupted = code == Exit::Interrupted.number();
            let exit = if interrupted && terminated.load(Ordering::SeqCst) {
                Exit::Terminated.number()
            } else {
                code
            };
            return Ok(exit);
        }
        if asked.load(Ordering::SeqCst) {
            return Ok(Exit::Interrupted.number());
        }
        let in_flight = interrupted(&args.job.out);
        let Some(verdict) = judge(&in_flight, &suspects, &mut crashed) else {
            report::error_line(&format!(
                "error: the working process died ({status}) outside of any file"
            ));
            return Ok(Exit::Internal.number());
        };
        report::error_line(&format!(
            "warning: the working process died ({status}); {verdict}"
        ));
        suspects = in_flight;
        suspects.retain(|path| !crashed.contains(path));
    }
    report::error_line("error: the working process died too often; giving up");
    Ok(Exit::Internal.number())
}

/// What a death says: one file in flight is guilty, several are suspects.
fn judge(in_flight: &[String], suspects: &[String], crashed: &mut Vec<String>) -> Option<String> {
    match in_flight {
        [] => None,
        [path] => {
            crashed.push(path.clone());
            Some(format!(
                "{path} is recorded as `crash`, going on without it"
            ))
        }
        several if several == suspects => {
            // They were to be done one at a time; two of them in flight means that the note of
            // one outlived it. The run must still get ahead.
            crashed.extend(several.iter().cloned());
            Some("all files in flight are recorded as `crash`".to_owned())
        }
        several => Some(format!("trying its {} files one at a time", several.len())),
    }
}

fn work(
    control: &Mutex<Option<Child>>,
    suspects: &[String],
    crashed: &[String],
) -> Result<ExitStatus> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command
        .args(std::env::args_os().skip(1))
        .arg("--supervised");
    for (flag, paths) in [("--suspect", suspects), ("--crashed", crashed)] {
        for path in paths {
            command.arg(format!("{flag}={path}"));
        }
    }
    // The C library keeps freed pictures in one arena for each thread; two are enough.
    command.env("MALLOC_ARENA_MAX", "2");
    command.stdin(Stdio::piped());
    separate(&mut command);
    // The pipe to its standard input stays open as long as this process lives; the worker ends
    // when it closes.
    let child = command
        .spawn()
        .context("cannot start the working process")?;
    *control.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    wait(control)
}

/// Waits without holding the lock, so that signals can be passed on.
fn wait(control: &Mutex<Option<Child>>) -> Result<ExitStatus> {
    loop {
        let mut slot = control.lock().unwrap_or_else(PoisonError::into_inner);
        let child = slot.as_mut().context("the working process is gone")?;
        if let Some(status) = child
            .try_wait()
            .context("cannot wait for the working process")?
        {
            *slot = None;
            return Ok(status);
        }
        drop(slot);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Keys pressed in the terminal reach the supervisor alone, which passes on what they mean.
#[cfg(unix)]
fn separate(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn separate(_: &mut Command) {}

fn forward_signals(
    control: &Arc<Mutex<Option<Child>>>,
    terminated: &Arc<AtomicBool>,
    asked: &Arc<AtomicBool>,
) -> Result<()> {
    let (control, terminated, asked) = (
        Arc::clone(control),
        Arc::clone(terminated),
        Arc::clone(asked),
    );
    on_signals(move |signal| {
        terminated.fetch_or(signal == SIGTERM, Ordering::SeqCst);
        let again = asked.swap(true, Ordering::SeqCst);
        let mut slot = control.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(child) = slot.as_mut() else { return };
        // The first asks, the second insists.
        let sent = match child.stdin.as_mut() {
            Some(pipe) if !again => pipe.write_all(b"!").and_then(|()| pipe.flush()),
            _ => child.kill(),
        };
        drop(sent);
    })
}

/// Calls back for each interrupt and termination signal, from a thread of its own.
pub(crate) fn on_signals(mut callback: impl FnMut(i32) + Send + 'static) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .context("cannot listen to signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            callback(signal);
        }
    });
    Ok(())
}

/// The command line as the user typed it, without what the supervisor added.
pub(crate) fn own_arguments() -> Vec<String> {
    let hidden = |arg: &String| {
        arg == "--supervised" || arg.starts_with("--suspect=") || arg.starts_with("--crashed=")
    };
    let program = |arg: String| {
        Path::new(&arg)
            .file_name()
            .map_or(arg.clone(), |name| name.to_string_lossy().into_owned())
    };
    let mut arguments = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let first = arguments.next().map(program);
    first
        .into_iter()
        .chain(arguments.filter(|arg| !hidden(arg)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_flight_is_guilty_several_are_suspects() {
        let list = |paths: &[&str]| {
            paths
                .iter()
                .map(|path| (*path).to_owned())
                .collect::<Vec<_>>()
        };
        let mut crashed = Vec::new();
        assert!(judge(&[], &[], &mut crashed).is_none());
        assert!(judge(&list(&["a", "b"]), &[], &mut crashed).is_some());
        assert!(crashed.is_empty());
        judge(&list(&["b"]), &list(&["a", "b"]), &mut crashed);
        assert_eq!(crashed, ["b"]);
        judge(&list(&["c", "d"]), &list(&["c", "d"]), &mut crashed);
        assert_eq!(crashed, ["b", "c", "d"]);
    }
}
