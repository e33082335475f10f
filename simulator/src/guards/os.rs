//! The functions of the C library by which a program reaches the machine.
//!
//! Each has the name and the type of the C library's, so the linker takes it instead, in every program that this crate is
//! linked into. It asks what runs on its thread, and passes on to the C library what is none of a world's business.

use super::{BEGAN, DICE, Reach, TAKEN, WATCH, Watch, offend};
use pbx::shell::timer::Deadline;
use pbx::time::WallClock;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

thread_local! {
    /// What the clock says on the thread of a world while nobody but the runtime looks.
    static STANDS_AT: Cell<Option<libc::timespec>> = const { Cell::new(None) };
}

/// A function of the C library that has one of ours before it.
struct Real {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

impl Real {
    const fn new(name: &'static CStr) -> Real {
        Real { name, found: AtomicPtr::new(std::ptr::null_mut()) }
    }

    fn find(&self) -> *mut c_void {
        let known = self.found.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name is a C string; RTLD_NEXT asks for the definition after the one in this program.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr().cast::<c_char>()) };
        if found.is_null() {
            // Nothing can be told to somebody who asks for the time: a panic would come back here.
            std::process::abort();
        }
        self.found.store(found, Ordering::Relaxed);
        found
    }
}

/// Calls the C library's own function, which has the type of the one this stands in.
macro_rules! pass_on {
    ($name:ident($($argument:ident: $type:ty),*) -> $result:ty) => {{
        static REAL: Real = Real::new(
            match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name has no zero in it"),
            },
        );
        // SAFETY: the C library's function of this name has this type, and gets what our caller gave to us.
        let real = unsafe {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> $result>(REAL.find())
        };
        // SAFETY: as above.
        unsafe { real($($argument),*) }
    }};
}

/// # Safety
/// As the C library's `clock_gettime`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let is_date = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE);
    match WATCH.get() {
        Watch::NoWorld => {}
        Watch::Program if is_date => {
            if let Some(date) = date_for_program() {
                // SAFETY: the caller gave a place for the time.
                unsafe { time.write(date) };
                return 0;
            }
        }
        Watch::Program => offend(Reach::Clock),
        Watch::Machinery if clock == libc::CLOCK_MONOTONIC => {
            if let Some(still) = STANDS_AT.get() {
                // SAFETY: the caller gave a place for the time.
                unsafe { time.write(still) };
                return 0;
            }
            let result = pass_on!(clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int);
            if result == 0 {
                // SAFETY: the C library has just written it.
                STANDS_AT.set(Some(unsafe { time.read() }));
            }
            return result;
        }
        Watch::Machinery => {}
    }
    pass_on!(clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int)
}

/// # Safety
/// As the C library's `gettimeofday`.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, zone: *mut c_void) -> c_int {
    match date_for_program().filter(|_| !time.is_null()) {
        Some(date) => {
            let date = libc::timeval { tv_sec: date.tv_sec, tv_usec: date.tv_nsec / 1_000 };
            // SAFETY: the caller gave a place for the time.
            unsafe { time.write(date) };
            0
        }
        None => pass_on!(gettimeofday(time: *mut libc::timeval, zone: *mut c_void) -> c_int),
    }
}

/// # Safety
/// As the C library's `time`.
#[unsafe(no_mangle)]
unsafe extern "C" fn time(place: *mut libc::time_t) -> libc::time_t {
    match date_for_program() {
        Some(date) => {
            if !place.is_null() {
                // SAFETY: the caller gave a place for the time.
                unsafe { place.write(date.tv_sec) };
            }
            date.tv_sec
        }
        None => pass_on!(time(place: *mut libc::time_t) -> libc::time_t),
    }
}

/// # Safety
/// As the C library's `nanosleep`.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(wanted: *const libc::timespec, left: *mut libc::timespec) -> c_int {
    if WATCH.get() == Watch::Program {
        offend(Reach::Sleep);
        return 0;
    }
    pass_on!(nanosleep(wanted: *const libc::timespec, left: *mut libc::timespec) -> c_int)
}

/// # Safety
/// As the C library's `clock_nanosleep`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    wanted: *const libc::timespec,
    left: *mut libc::timespec,
) -> c_int {
    if WATCH.get() == Watch::Program {
        offend(Reach::Sleep);
        return 0;
    }
    pass_on!(clock_nanosleep(
        clock: libc::clockid_t,
        flags: c_int,
        wanted: *const libc::timespec,
        left: *mut libc::timespec
    ) -> c_int)
}

/// # Safety
/// As the C library's `getrandom`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    // Who asks for nothing asks whether the kernel knows the call.
    if WATCH.get() == Watch::NoWorld || length == 0 {
        return pass_on!(getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize);
    }
    if WATCH.get() == Watch::Program {
        offend(Reach::Randomness);
    }
    let bytes = buffer.cast::<u8>();
    for (at, byte) in random_bytes().take(length).enumerate() {
        // SAFETY: the caller gave a buffer of this length.
        unsafe { bytes.add(at).write(byte) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// # Safety
/// As the C library's `socket`.
#[unsafe(no_mangle)]
unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if WATCH.get() == Watch::Program {
        offend(Reach::Socket);
        // SAFETY: it is this thread's own.
        unsafe { *libc::__errno_location() = libc::EPERM };
        return -1;
    }
    pass_on!(socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int)
}

/// # Safety
/// As the C library's `pthread_create`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    begin: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    if WATCH.get() == Watch::Program {
        offend(Reach::Thread);
        return libc::EPERM;
    }
    pass_on!(pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        begin: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void
    ) -> c_int)
}

/// The date in the world of this thread, for its programs.
fn date_for_program() -> Option<libc::timespec> {
    if WATCH.get() != Watch::Program {
        return None;
    }
    let (began, WallClock { epoch_micros }) = BEGAN.get()?;
    let micros = epoch_micros + u64::try_from(Deadline::now().since(began).as_micros()).ok()?;
    let seconds = i64::try_from(micros / 1_000_000).ok()?;
    Some(libc::timespec { tv_sec: seconds, tv_nsec: (micros % 1_000_000 * 1_000) as i64 })
}

/// Bytes that follow from the seed, others each time.
fn random_bytes() -> impl Iterator<Item = u8> {
    let dice = DICE.get().at(TAKEN.replace(TAKEN.get() + 1));
    (0..).flat_map(move |word| dice.at(word).bits().to_le_bytes())
}
