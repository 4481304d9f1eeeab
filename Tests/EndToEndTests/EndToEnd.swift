import Testing

/// The real program on real input. One test at a time: each of them has both processors busy.
@Suite(.serialized) struct EndToEnd {}
