//! The window, and the page in it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use tao::dpi::LogicalSize;
use tao::event::{Event, WindowEvent};
use tao::event_loop::{ControlFlow, EventLoopBuilder, EventLoopProxy};
use tao::platform::unix::WindowExtUnix;
use tao::window::{Window, WindowBuilder};
use wry::{
    NewWindowResponse, PageLoadEvent, PermissionResponse, WebContext, WebView, WebViewBuilder,
    WebViewBuilderExtUnix,
};

use crate::guard::{Guard, Way};
use crate::instance::First;
use crate::size::Size;
use crate::{badge, browser, downloads};

/// What a desktop knows the program by.
const DESKTOP_FILE: &str = "trunkline.desktop";

/// What is done on the thread of the window.
#[derive(Debug)]
enum Wish {
    /// Somebody wants to see it.
    Raise,
    /// The page has another title.
    Title(String),
    /// The page is there.
    Shown,
}

/// Opens the window, says so, and returns only if it could not.
///
/// # Errors
/// When there is no screen, or the page cannot be shown on it; in words.
pub fn open(dir: &Path, first: First, link: &str, guard: Guard) -> Result<Infallible, String> {
    if std::env::var_os("DISPLAY").is_none() && std::env::var_os("WAYLAND_DISPLAY").is_none() {
        return Err("there is no screen here; `trunkline open --url` prints a link for a browser".to_owned());
    }
    let events = EventLoopBuilder::<Wish>::with_user_event().build();
    let remembered = dir.join("size.json");
    let size = Size::load(&remembered);
    let window = WindowBuilder::new()
        .with_title("Trunkline")
        .with_inner_size(LogicalSize::new(size.width, size.height))
        .with_maximized(size.maximized)
        .build(&events)
        .map_err(|error| format!("the window cannot be opened: {error}"))?;
    let mut context = WebContext::new(Some(dir.join("web")));
    let proxy = events.create_proxy();
    let view = show(&window, &mut context, link, guard, &proxy)
        .map_err(|error| format!("the page cannot be shown: {error}"))?;
    first.listen(move || wish(&proxy, Wish::Raise));
    let mut frame = Frame { window, view, size, remembered, is_told: false };
    events.run(move |event, _, control| {
        // What the page is kept in lives as long as it.
        let _context = &context;
        *control = ControlFlow::Wait;
        if frame.take(event) {
            *control = ControlFlow::Exit;
        }
    })
}

struct Frame {
    window: Window,
    view: WebView,
    size: Size,
    remembered: PathBuf,
    /// Whether whoever has started this knows that the window is open.
    is_told: bool,
}

impl Frame {
    /// Takes an event; says whether it was the last.
    fn take(&mut self, event: Event<'_, Wish>) -> bool {
        match event {
            Event::UserEvent(Wish::Raise) => {
                self.window.set_visible(true);
                self.window.set_minimized(false);
                self.window.set_focus();
            }
            Event::UserEvent(Wish::Title(title)) => {
                self.window.set_badge_count(badge::count(&title), Some(DESKTOP_FILE.to_owned()));
                self.window.set_title(&title);
            }
            Event::UserEvent(Wish::Shown) if !self.is_told => {
                self.is_told = true;
                crate::say("open");
                // A click into the page is not needed before a key is.
                drop(self.view.focus());
            }
            Event::WindowEvent { event: WindowEvent::Resized(_), .. } => self.measure(),
            Event::WindowEvent { event: WindowEvent::Focused(false), .. } => self.remember(),
            Event::WindowEvent { event: WindowEvent::CloseRequested, .. } => {
                self.remember();
                return true;
            }
            _ => {}
        }
        false
    }

    fn measure(&mut self) {
        self.size.maximized = self.window.is_maximized();
        if !self.size.maximized {
            let inner = self.window.inner_size().to_logical::<f64>(self.window.scale_factor());
            (self.size.width, self.size.height) = (inner.width, inner.height);
        }
    }

    fn remember(&mut self) {
        self.measure();
        // A window that forgets its size is still a window.
        drop(self.size.save(&self.remembered));
    }
}

fn show(
    window: &Window,
    context: &mut WebContext,
    link: &str,
    guard: Guard,
    proxy: &EventLoopProxy<Wish>,
) -> wry::Result<WebView> {
    let parent = window.default_vbox().ok_or(wry::Error::UnsupportedWindowHandle)?;
    let (titles, pages, other) = (proxy.clone(), proxy.clone(), guard.clone());
    WebViewBuilder::new_with_web_context(context)
        .with_url(link)
        .with_navigation_handler(move |address| go(&guard, &address))
        .with_new_window_req_handler(move |address, _| {
            if other.way(&address) != Way::Nowhere {
                browser::open(&address);
            }
            NewWindowResponse::Deny
        })
        // The daemon shows notifications on the desktop itself, and the page needs nothing else of the machine.
        .with_permission_handler(|_| PermissionResponse::Deny)
        .with_download_started_handler(|_, path| {
            let place = downloads::place(path);
            place.map(|place| *path = place).is_some()
        })
        .with_download_completed_handler(|_, path, is_saved| match path {
            Some(path) if is_saved => browser::notify("Saved", &path.display().to_string()),
            _ => browser::notify("Not saved", "The file could not be written."),
        })
        .with_document_title_changed_handler(move |title| wish(&titles, Wish::Title(title)))
        .with_on_page_load_handler(move |event, _| {
            if matches!(event, PageLoadEvent::Finished) {
                wish(&pages, Wish::Shown);
            }
        })
        .with_devtools(cfg!(debug_assertions))
        .build_gtk(parent)
}

/// Whether the window goes there. What is not the daemon's opens elsewhere.
fn go(guard: &Guard, address: &str) -> bool {
    let way = guard.way(address);
    if way == Way::Browser {
        browser::open(address);
    }
    way == Way::Here
}

fn wish(proxy: &EventLoopProxy<Wish>, wish: Wish) {
    // The window may just have been closed.
    drop(proxy.send_event(wish));
}
