"""Facts about a graph: what it computes, stores and keeps. Reading passes; none changes anything."""
