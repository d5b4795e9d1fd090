//! Documents in, passages out: load, segment, embed, index, search.
