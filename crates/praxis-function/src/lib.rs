//! Prompt functions: Dotprompt files, retrieval before the call, citations and scope after it.
