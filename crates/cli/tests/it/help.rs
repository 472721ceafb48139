//! Help texts, as they are printed at 80 columns and wider.

use crate::support::run;

#[test]
fn helps() {
    let commands: [(&str, &[&str]); 7] = [
        ("help", &["--help"]),
        ("help-run", &["run", "--help"]),
        ("help-plan", &["plan", "--help"]),
        ("help-catalog-validate", &["catalog", "validate", "--help"]),
        ("help-catalog-merge", &["catalog", "merge", "--help"]),
        ("help-clean", &["clean", "--help"]),
        ("help-report", &["report", "--help"]),
    ];
    for (name, arguments) in commands {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{name}");
        assert!(
            ended.stdout.lines().all(|line| line.chars().count() <= 100),
            "{name}"
        );
        insta::assert_snapshot!(name, ended.stdout);
    }
}

#[test]
fn version() {
    let ended = run(&["--version"]);
    assert_eq!(
        ended.stdout,
        concat!("fonds ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

/// What only the supervisor says to its worker is nobody else's business.
#[test]
fn hidden_arguments_stay_hidden() {
    let help = run(&["run", "--help"]).stdout;
    for hidden in ["--suspect", "--crashed", "--supervised"] {
        assert!(!help.contains(hidden), "{hidden}");
    }
}
