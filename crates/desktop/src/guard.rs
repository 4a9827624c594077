//! Where the window may go: to its daemon. Everything else belongs into the person's browser.

/// The origin of the daemon's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard(String);

/// What becomes of a wish to go somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is the daemon's: the window goes there.
    Here,
    /// It opens in the person's browser.
    Browser,
    /// Nobody goes there.
    Nowhere,
}

impl Guard {
    /// The guard of a link to the daemon: `http` or `https`, a host, maybe a port, then the rest.
    pub fn of(link: &str) -> Option<Self> {
        let (scheme, rest) = link.split_once("://")?;
        let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let fits = matches!(scheme, "http" | "https")
            && !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b));
        fits.then(|| Self(format!("{scheme}://{host}")))
    }

    /// Which way an address leads. The engine has normalised it: the host is in lower case, and a usual port is left out.
    pub fn way(&self, address: &str) -> Way {
        let is_ours = |address: &str| {
            address
                .strip_prefix(&self.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
        };
        // The page makes objects of its own to show or save.
        let made_here = address.strip_prefix("blob:").is_some_and(is_ours);
        if is_ours(address) || made_here || address == "about:blank" {
            return Way::Here;
        }
        let to_others = ["http://", "https://", "mailto:"];
        if to_others.iter().any(|scheme| address.starts_with(scheme)) { Way::Browser } else { Way::Nowhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_gives_its_origin_and_nothing_else_does() {
        let origin = |link| Guard::of(link).map(|Guard(origin)| origin);
        assert_eq!(origin("http://127.0.0.1:7433/-/open#code=x").as_deref(), Some("http://127.0.0.1:7433"));
        assert_eq!(origin("https://[::1]:1").as_deref(), Some("https://[::1]:1"));
        for bad in
            ["", "127.0.0.1:7433", "file:///etc/passwd", "http://", "http:///x", "http://a@b/", "http://a b/"]
        {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_daemons_pages_are_shown_here() {
        let guard = Guard::of("http://127.0.0.1:7433/").unwrap();
        for ours in [
            "http://127.0.0.1:7433",
            "http://127.0.0.1:7433/inbox?x#y",
            "http://127.0.0.1:7433#a",
            "blob:http://127.0.0.1:7433/0e1f",
            "about:blank",
        ] {
            assert_eq!(guard.way(ours), Way::Here, "{ours}");
        }
        for others in [
            "http://127.0.0.1:74330/",
            "http://127.0.0.1:7433@evil.example/",
            "http://127.0.0.1:7433.evil.example/",
            "https://127.0.0.1:7433/",
            "https://example.org/",
            "mailto:a@example.org",
        ] {
            assert_eq!(guard.way(others), Way::Browser, "{others}");
        }
        for nowhere in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "blob:https://evil.example/0",
            "",
        ] {
            assert_eq!(guard.way(nowhere), Way::Nowhere, "{nowhere}");
        }
    }
}
