//! `pair`: a phone or another machine is let in, by a code that its camera reads.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};
use serde_json::json;
use trunkline_client::types::Link;
use trunkline_client::{Runtime, RuntimeTls};

use crate::app::App;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::style::Paint;

/// How many light modules a reader wants around the code (ISO/IEC 18004).
const QUIET: i32 = 4;

pub(crate) async fn pair(app: &App) -> Result<Exit> {
    let client = app.connect().await?;
    let Link { url, outside, expires, .. } = client.link().await?;
    let url = outside.unwrap_or(url);
    let base = url.split('#').next().unwrap_or_default().trim_end_matches('/');
    if is_of_this_machine(base) {
        return Err(CliError::failure(format!("{base} is an address of this machine alone: no other device gets there"))
            .hint("set public_url to where your phone reaches the daemon (a tunnel, a VPN, a proxy), or listen on an address of \
                   your network with `tls = \"own\"`; then start the daemon anew"));
    }
    let tls = Runtime::read(&app.config.home)?.and_then(|runtime| runtime.tls).filter(|tls| tls.own);
    if app.screen.json {
        let sha256 = tls.as_ref().map(|tls| &tls.sha256);
        app.screen.json(&json!({ "url": url, "expires": expires, "sha256": sha256 }))?;
        return Ok(Exit::Ok);
    }
    let code = QrCode::encode_text(&url, QrCodeEcc::Low)
        .map_err(|error| CliError::failure(format!("the link does not fit a code: {error}")))?;
    app.screen.print(drawn(&code, app.screen.out != Paint::PLAIN))?;
    app.screen.print(&url)?;
    app.screen.note(
        "show it to the camera of your phone. It works once, within five minutes; \
                     `trunkline token list` shows who was let in",
    );
    if let Some(RuntimeTls { url, sha256, .. }) = tls {
        app.screen.note(format!(
            "a device that does not know this daemon yet warns of its certificate. It is the right one if its SHA-256 is\n  \
             {sha256}\nand it is known for good to a device that trusts {url}/ca.pem; see docs/guide/tls.md"
        ));
    }
    Ok(Exit::Ok)
}

/// Whether only this machine reaches an address.
fn is_of_this_machine(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = match rest.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => rest.split([':', '/']).next().unwrap_or_default(),
    };
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Two rows of modules on each line. With colours it is dark on light whatever the terminal has; without, light modules are
/// the ones that are drawn, since most terminals are dark.
fn drawn(code: &QrCode, color: bool) -> String {
    let range = -QUIET..code.size() + QUIET;
    let mut out = String::new();
    for y in range.clone().step_by(2) {
        if color {
            out.push_str("\x1b[30;107m");
        }
        for x in range.clone() {
            // Outside of the code every module is light.
            let [upper, lower] = [y, y + 1].map(|y| code.get_module(x, y) == color);
            out.push(match (upper, lower) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        let end = if color { "\x1b[0m\n" } else { "\n" };
        out.write_str(end).expect("a text takes what is written");
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_known() {
        for (url, alone) in [
            ("http://127.0.0.1:7433", true),
            ("http://localhost:7433", true),
            ("http://[::1]:7433", true),
            ("http://0.0.0.0:1", true),
            ("http://10.0.0.2:7433", false),
            ("https://tl.example", false),
        ] {
            assert_eq!(is_of_this_machine(url), alone, "{url}");
        }
    }

    #[test]
    fn the_code_has_its_quiet_zone_and_its_corners() {
        let code = QrCode::encode_text("http://10.0.0.2:7433/#code=abc", QrCodeEcc::Low).unwrap();
        let plain = drawn(&code, false);
        let lines: Vec<_> = plain.lines().collect();
        let width = usize::try_from(code.size() + 2 * QUIET).unwrap();
        assert!(lines.iter().all(|line| line.chars().count() == width), "{plain}");
        assert_eq!(lines.len(), width.div_ceil(2));
        // Light is what is drawn: the zone is full, and the first corner is seven dark modules wide.
        assert!(lines[..2].iter().all(|line| line.chars().all(|c| c == '█')));
        assert!(lines[2].starts_with("████ ▄▄▄▄▄ █"), "{plain}");
        let color = drawn(&code, true);
        assert!(color.lines().all(|line| line.starts_with("\x1b[30;107m") && line.ends_with("\x1b[0m")));
        assert!(color.lines().nth(2).unwrap().contains("    █▀▀▀▀▀█ "), "{color}");
    }
}
