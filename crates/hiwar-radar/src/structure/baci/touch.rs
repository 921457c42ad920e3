//! Making promised memory real.

/// Bytes of a page of memory, at least; a larger page is only written to more often.
const PAGE: usize = 4096;

/// Writes to every page of a table of zeros before it is summed into.
///
/// Memory fresh from the operating system is only promised. A sum reads a place before it writes to it, and a page that is
/// read first is mapped twice: as the one page of zeros that all share, then as a page of its own, for which all other
/// threads are interrupted. A page that is written to first is mapped once.
pub(super) fn touch<T: Copy + Default>(table: &mut [T]) {
    for page in table.chunks_mut((PAGE / size_of::<T>().max(1)).max(1)) {
        if let Some(first) = page.first_mut() {
            // The compiler would leave out writing zero to what is zero.
            *std::hint::black_box(first) = T::default();
        }
    }
}
