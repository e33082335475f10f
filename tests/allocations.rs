//! How often memory is asked for; its own program, because the counter is the allocator of all.

use pbx::sip::{Limits, Message, Uri};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[test]
fn a_message_is_read_with_one_allocation() {
    let invite = include_bytes!("../fixtures/sip/usual/invite.sip");
    let (message, allocations) = counted(|| Message::parse(invite, &Limits::default()));
    assert!(message.is_ok());
    assert!(allocations <= 1, "{allocations} allocations");
}

#[test]
fn looking_into_a_message_allocates_nothing() {
    let invite = include_bytes!("../fixtures/sip/usual/invite.sip");
    let Ok(Message::Request(request)) = Message::parse(invite, &Limits::default()) else {
        panic!("an INVITE")
    };
    let ((), allocations) = counted(|| {
        assert!(request.via().is_ok_and(|via| via.branch().is_some()));
        assert!(request.from().is_ok_and(|from| from.parse_uri().is_ok() && from.tag().is_some()));
        assert!(request.to_header().is_ok_and(|to| to.parse_uri().is_ok()));
        assert!(request.contact().is_ok_and(|contact| contact.parse_uri().is_ok()));
        assert!(
            request.cseq().is_ok() && request.max_forwards().is_ok() && Uri::parse(request.uri()).is_ok()
        );
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_message_is_written_into_memory_that_is_there() {
    let invite = include_bytes!("../fixtures/sip/usual/invite.sip");
    let Ok(message) = Message::parse(invite, &Limits::default()) else { panic!("an INVITE") };
    let mut out = Vec::with_capacity(2 * invite.len());
    let ((), allocations) = counted(|| match &message {
        Message::Request(request) => request.write(&mut out),
        Message::Response(response) => response.write(&mut out),
    });
    assert_eq!(allocations, 0);
}

/// What `work` returns, and how often it asked for memory.
fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.with(Cell::get);
    let result = work();
    (result, ALLOCATIONS.with(Cell::get) - before)
}

thread_local! {
    // Of this thread alone: tests run side by side.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    // Memory may be asked for while a thread ends, when its counter is gone.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is passed on to the allocator of the system as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
