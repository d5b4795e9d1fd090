//! The HTTP edge: the OpenAI platform API over functions and models.
