//! One writer per output format, over view types of its own. Refuses to know stages, standard output or options.

pub mod view;
