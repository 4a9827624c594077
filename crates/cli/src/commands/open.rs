//! `open`: the page, in a browser, signed in.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trunkline_client::types::{Link, NewSession, NewTurn};
use trunkline_client::{Client, Runtime};
use trunkline_run::catalog::which;
use uuid::Uuid;

use crate::app::App;
use crate::args::Open;
use crate::config::DEMO;
use crate::env::Env;
use crate::error::{CliError, Result};
use crate::exit::Exit;

/// What the demo agent is asked.
const DEMO_PROMPT: &str = "Have a look at this directory and write down what you find.";

pub(crate) async fn open(app: &App, args: Open) -> Result<Exit> {
    let client = app.connect().await?;
    if args.demo {
        demo(app, &client).await?;
    }
    let link = link(app, &client, &args).await?;
    if app.screen.json {
        app.screen.json(&link)?;
        return Ok(Exit::Ok);
    }
    if args.url {
        app.screen.print(&link.url)?;
        return Ok(Exit::Ok);
    }
    let opened = match browser(&app.env) {
        Some(browser) => launch(&browser, &redirect(&app.config.home, &link.url)?).is_ok(),
        None => false,
    };
    if !opened {
        app.screen.note("there is no browser to open here; this link works once, for five minutes:");
        app.screen.print(&link.url)?;
        return Ok(Exit::Ok);
    }
    app.screen.note(format!("opening {} in your browser", client.base_url()));
    // Whether a browser came up cannot be known, and the link it was given works only once.
    app.screen.note("if none comes up, or for another one: this link works once, for five minutes:");
    app.screen.print(self::link(app, &client, &args).await?.url)?;
    Ok(Exit::Ok)
}

/// A link to the page, or to the page of a client that was not written for this daemon.
async fn link(app: &App, client: &Client, args: &Open) -> Result<Link> {
    let link = client.link().await?;
    let (table, what) = match (args.attach, args.engine) {
        (false, false) => return Ok(link),
        (true, _) => ("attach", "the client of attachable sessions has"),
        (false, true) => ("engine", "kollabor's client has"),
    };
    let runtime = Runtime::read(&app.config.home)?;
    let at = runtime.and_then(|runtime| if args.attach { runtime.attach } else { runtime.engine });
    let Some(at) = at else {
        return Err(CliError::failure(format!("{what} no address of its own here"))
            .hint(format!("set `listen` in the table [{table}] of config.toml, and start the daemon anew")));
    };
    Ok(Link { url: format!("{at}/-/open#code={}", link.code), ..link })
}

/// Starts a session of the demo agent, in a directory of its own that it may write to.
async fn demo(app: &App, client: &Client) -> Result<()> {
    let dir = app.env.temp.join(format!("trunkline-demo-{}", &Uuid::new_v4().simple().to_string()[..8]));
    let cannot = |error: io::Error| CliError::failure(format!("{} cannot be made: {error}", dir.display()));
    DirBuilder::new().mode(0o700).create(&dir).map_err(cannot)?;
    for (name, text) in [
        ("README.md", "# A small project\n\nTwo files for the demo agent to look at.\n"),
        ("greet.py", "def greet(name):\n    return f\"Hello, {name}!\"\n"),
    ] {
        fs::write(dir.join(name), text).map_err(cannot)?;
    }
    let workspace = dir.to_string_lossy();
    let new = NewSession::agent(DEMO).workspace(workspace.as_ref()).title(Some("A first look".to_owned()));
    let session = client.create_session(&new).await?;
    client.prompt(session.id, &NewTurn::text(DEMO_PROMPT)).await?;
    app.screen.note(format!("the demo agent works in {workspace}"));
    Ok(())
}

/// Writes a page that leads to the link. The code is in it, and not in a command line, which every user of the machine
/// can read; only its owner can read the page.
fn redirect(home: &Path, url: &str) -> Result<PathBuf> {
    let run = home.join("run");
    let cannot = |error: io::Error| CliError::failure(format!("{} cannot be used: {error}", run.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(&run).map_err(cannot)?;
    sweep(&run);
    let path = run.join(format!("open-{}.html", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(cannot)?;
    file.write_all(page(url).as_bytes()).map_err(cannot)?;
    Ok(path)
}

/// Removes the pages of earlier links. A browser has read its page within moments; a link lives for five minutes.
fn sweep(run: &Path) {
    let old = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with("open-") && name.ends_with(".html"));
        ours && entry
            .metadata()
            .and_then(|meta| meta.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > 300))
    };
    for entry in fs::read_dir(run).into_iter().flatten().flatten().filter(old) {
        // One that cannot be removed is harmless: its link no longer works.
        drop(fs::remove_file(entry.path()));
    }
}

fn page(url: &str) -> String {
    let escaped: String = url
        .chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c => c.to_string(),
        })
        .collect();
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={escaped}\">\n<title>Trunkline</title>\n\
         <p><a href=\"{escaped}\">Open Trunkline</a>\n"
    )
}

/// The program that opens pages, if there is one, and a screen to open them on. A browser that the user names may be one
/// for the terminal.
fn browser(env: &Env) -> Option<String> {
    // $BROWSER may be a list; `%s` templates are a rarity we leave to xdg-open.
    let preferred = env.browser.iter().flat_map(|list| list.split(':')).filter(|name| !name.contains('%'));
    let usual: &[_] = if env.has_screen { &["xdg-open", "wslview", "open"] } else { &["wslview"] };
    preferred.chain(usual.iter().copied()).find(|name| which(name, &env.path).is_some()).map(str::to_owned)
}

fn launch(browser: &str, page: &Path) -> io::Result<()> {
    let mut command = Command::new(browser);
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "the browser is the user's: it stays when we go")]
    command.spawn().map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_page_is_the_owners_alone_and_leads_to_the_link() {
        let home = tempfile::tempdir().unwrap();
        let path = redirect(home.path(), "http://127.0.0.1:1/#code=a&b").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("url=http://127.0.0.1:1/#code=a&amp;b\""), "{text}");
        assert!(redirect(home.path(), "http://x").is_ok() && path.exists(), "a fresh page stays");
    }

    #[test]
    fn a_browser_is_one_that_is_there() {
        let bin = tempfile::tempdir().unwrap();
        let add = |name: &str| {
            let path = bin.path().join(name);
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let env = |preferred: Option<&str>| Env {
            path: bin.path().into(),
            browser: preferred.map(str::to_owned),
            has_screen: true,
            ..Env::default()
        };
        assert_eq!(browser(&env(Some("lynx"))), None);
        add("xdg-open");
        assert_eq!(browser(&env(Some("lynx:firefox"))).as_deref(), Some("xdg-open"));
        add("firefox");
        assert_eq!(browser(&env(Some("lynx:firefox"))).as_deref(), Some("firefox"));
        let bare = |preferred| browser(&Env { has_screen: false, ..env(preferred) });
        assert_eq!((bare(None), bare(Some("firefox"))), (None, Some("firefox".to_owned())));
    }
}
