//! The Python of this machine: asked where it and its library are, and made into what a sandbox shows. Left out:
//! limits (`config`), and what runs in it (`driver.py`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use praxis_core::Problem;
use serde::Deserialize;
use tokio::process::Command;

use super::config::{Config, Packages, problem};
use crate::sandbox::Isolation;

/// What an interpreter is asked for. It is the machine's own, and this is our code: no sandbox is around it.
const ASK: &str = "
import json, os, site, sys, sysconfig
paths = [sysconfig.get_path(name) for name in ('purelib', 'platlib')]
paths += getattr(site, 'getsitepackages', list)()
print(json.dumps({
    'version': list(sys.version_info[:2]),
    'program': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable),
    'prefix': os.path.realpath(sys.base_prefix),
    'library': [sysconfig.get_path(name) for name in ('stdlib', 'platstdlib')],
    'sites': paths,
}))
";

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The oldest version that runs code here.
const OLDEST: [u32; 2] = [3, 9];

/// Where a system has libraries; of these, those that are links are links in the sandbox too.
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/lib", "/lib64"];

/// What is shown beside: where libraries are found, and time zones.
const BESIDE: [&str; 2] = ["/etc/ld.so.cache", "/usr/share/zoneinfo"];

/// What is shown for packages: the fonts of figures.
const FONTS: [&str; 3] = ["/usr/share/fonts", "/usr/share/fontconfig", "/etc/fonts"];

/// Stores in which each package has a folder of its own, and refers to others.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// A Python, as a sandbox shows it.
#[derive(Debug, Clone)]
pub(super) struct Python {
    /// The interpreter.
    pub program: PathBuf,
    /// Its version.
    pub version: String,
    /// What it needs to see; none is below another.
    pub views: Vec<PathBuf>,
    /// Links that are there beside them.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Folders below the views that code does not see.
    pub hidden: Vec<PathBuf>,
    /// Folders that packages are imported from.
    pub packages: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Said {
    version: [u32; 2],
    program: PathBuf,
    prefix: PathBuf,
    library: Vec<PathBuf>,
    sites: Vec<PathBuf>,
}

/// Finds the Python of a tool file. `own` are folders that code never sees: the application's, and that of its state.
///
/// # Errors
/// There is none, or none that can be used.
pub(super) async fn find(config: &Config, root: &Path, own: &[&Path]) -> Result<Python, Problem> {
    let (key, program) = match (&config.packages, &config.python) {
        (Packages::Environment(path), _) => ("packages", root.join(path).join("bin/python")),
        (_, Some(python)) if python.contains('/') => ("python", root.join(python)),
        (_, Some(python)) => ("python", PathBuf::from(python)),
        (_, None) => ("python", PathBuf::from("python3")),
    };
    let said = ask(key, &program).await?;
    let version = said.version.map(|number| number.to_string()).join(".");
    if said.version < OLDEST {
        let help = "name a newer one: `python = \"/path/to/python3\"`";
        return Err(problem(key, format!("Python {version} is too old"), help));
    }
    let python = seen(said, version, config.packages != Packages::Own(false), own);
    // Without a mount namespace nothing can be laid over a folder. Packages that were not asked for do no harm.
    let shown = python
        .hidden
        .iter()
        .find(|hidden| own.contains(&hidden.as_path()));
    if config.isolation == Isolation::Landlock
        && let Some(shown) = shown
    {
        let message = format!(
            "code would see `{}`, which is below a folder of libraries",
            shown.display()
        );
        let help = "move the application elsewhere, or set `isolation = \"namespaces\"`";
        return Err(problem("isolation", message, help));
    }
    Ok(python)
}

/// Asks an interpreter where things are.
async fn ask(key: &str, program: &Path) -> Result<Said, Problem> {
    let shown = program.display();
    let help = "install Python 3.9 or later, or name one: `python = \"/path/to/python3\"`";
    let output = Command::new(program)
        .args(["-I", "-c", ASK])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(PATIENCE, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(problem(key, format!("cannot run `{shown}`: {error}"), help));
        }
        Err(_) => {
            let message = format!("`{shown}` did not say where it is within {PATIENCE:?}");
            return Err(problem(key, message, help));
        }
    };
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().last().unwrap_or("nothing").to_owned();
        problem(
            key,
            format!("`{shown}` is no Python 3: it said {said}"),
            help,
        )
    })
}

/// What a sandbox shows of it.
fn seen(said: Said, version: String, packages: bool, own: &[&Path]) -> Python {
    let mut wanted = vec![
        said.program.clone(),
        said.prefix.join("lib"),
        said.prefix.join("lib64"),
    ];
    wanted.extend(said.library);
    wanted.extend(LIBRARIES.map(PathBuf::from));
    wanted.extend(BESIDE.map(PathBuf::from));
    let stores = STORES.map(PathBuf::from);
    wanted.extend(
        stores
            .into_iter()
            .filter(|store| said.program.starts_with(store)),
    );
    let sites: BTreeSet<PathBuf> = said.sites.iter().filter_map(|site| real(site)).collect();
    if packages {
        wanted.extend(FONTS.map(PathBuf::from));
        wanted.extend(sites.iter().cloned());
    }
    // A prefix that is the root of the machine is none to be shown.
    let real: BTreeSet<PathBuf> = wanted
        .iter()
        .filter_map(|path| real(path))
        .filter(|path| path.parent().is_some())
        .collect();
    let views: Vec<PathBuf> = real
        .iter()
        .filter(|path| {
            !real
                .iter()
                .any(|other| other != *path && path.starts_with(other))
        })
        .cloned()
        .collect();
    let link = |path: &&str| {
        let target = std::fs::read_link(path).ok()?;
        Some((PathBuf::from(path), target))
    };
    let links = LIBRARIES.iter().filter_map(link).collect();
    let is_seen = |path: &Path| views.iter().any(|view| path.starts_with(view));
    let mut hidden: Vec<PathBuf> = Vec::new();
    if !packages {
        hidden.extend(sites.iter().filter(|site| is_seen(site)).cloned());
    }
    let own = own.iter().filter(|own| is_seen(own));
    hidden.extend(own.map(|own| own.to_path_buf()));
    Python {
        program: said.program,
        version,
        views,
        links,
        hidden,
        packages: if packages {
            sites.into_iter().collect()
        } else {
            Vec::new()
        },
    }
}

/// Where a path leads, if there is something.
fn real(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(root: &Path) -> Said {
        let prefix = root.join("python");
        let library = prefix.join("lib/python3.11");
        let sites = library.join("site-packages");
        std::fs::create_dir_all(&sites).unwrap();
        std::fs::create_dir_all(prefix.join("bin")).unwrap();
        std::fs::write(prefix.join("bin/python3"), "").unwrap();
        Said {
            version: [3, 11],
            program: prefix.join("bin/python3"),
            prefix,
            library: vec![library.clone(), library],
            sites: vec![sites.clone(), root.join("absent")],
        }
    }

    #[test]
    fn views_are_few_and_packages_are_hidden_unless_they_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        let library = root.join("python/lib");
        let sites = library.join("python3.11/site-packages");
        let without = seen(said(&root), "3.11".into(), false, &[]);
        assert!(without.views.contains(&library) && without.views.contains(&without.program));
        assert!(!without.views.contains(&sites), "it is below another view");
        assert_eq!(
            (without.hidden, without.packages),
            (vec![sites.clone()], vec![])
        );
        let with = seen(said(&root), "3.11".into(), true, &[]);
        assert_eq!((with.hidden, with.packages), (vec![], vec![sites]));
    }

    #[test]
    fn an_application_below_a_library_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        let application = root.join("python/lib/application");
        std::fs::create_dir_all(&application).unwrap();
        let python = seen(said(&root), "3.11".into(), true, &[&application]);
        assert_eq!(python.hidden, [application]);
    }

    #[tokio::test]
    async fn what_is_no_python_is_said_to_be_none() {
        let root = Path::new("/");
        for (text, key, wanted) in [
            ("python = \"no-such-python\"", "python", "cannot run"),
            ("packages = \"no/venv\"", "packages", "cannot run"),
            ("python = \"/bin/true\"", "python", "no Python 3"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            let problem = find(&config, root, &[]).await.unwrap_err();
            assert_eq!(problem.path, key);
            assert!(problem.message.contains(wanted), "{problem}");
        }
    }
}
