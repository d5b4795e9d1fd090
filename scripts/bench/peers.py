"""What retrieval is compared with: a plain BM25, and the defaults of LlamaIndex and LangChain with the
same embedder, which they reach through the server's OpenAI-compatible endpoint."""

import base64
import re
import struct

from quality import post

EMBEDDER = "multilingual-e5-small"
BATCH = 64


def words(text: str, chinese: bool) -> list[str]:
    """Terms of a plain BM25: Snowball stems, or jieba words and pairs of characters."""
    import jieba
    import Stemmer

    jieba.setLogLevel(60)
    text = text.lower()
    if not chinese:
        return Stemmer.Stemmer("english").stemWords(re.findall(r"\w+", text))
    pairs = [run[i : i + 2] for run in re.findall(r"[\u4e00-\u9fff]+", text) for i in range(len(run) - 1)]
    return [word for word in jieba.lcut(text) if word.strip()] + pairs


def plain_bm25(texts: dict[str, str], queries: list[str], chinese: bool, depth: int) -> list[list[str]]:
    """Rankings of whole documents by bm25s."""
    import bm25s

    names = list(texts)
    index = bm25s.BM25()
    index.index([words(texts[name], chinese) for name in names], show_progress=False)
    tokens = [words(query, chinese) for query in queries]
    hits, _ = index.retrieve(tokens, k=min(depth, len(names)), show_progress=False)
    return [[names[i] for i in row] for row in hits]


class Vectors:
    """Embeddings by the server, each text once."""

    def __init__(self, url: str):
        self.url, self.known = f"{url}/v1/embeddings", {}

    def of(self, texts: list[str], kind: str) -> list[list[float]]:
        missing = sorted({t for t in texts if (kind, t) not in self.known}, key=len)
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            body = {"model": EMBEDDER, "input": part, "input_type": kind, "encoding_format": "base64"}
            for text, row in zip(part, post(self.url, body)["data"], strict=True):
                raw = base64.b64decode(row["embedding"])
                self.known[kind, text] = list(struct.unpack(f"<{len(raw) // 4}f", raw))
        return [self.known[kind, text] for text in texts]


def llama_index(texts: dict[str, str], queries: list[str], vectors: Vectors, depth: int) -> list[list[str]]:
    """Rankings of LlamaIndex: its default splitter and its in-memory index."""
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding

    class Embedding(BaseEmbedding):
        def _get_query_embedding(self, query):
            return vectors.of([query], "query")[0]

        async def _aget_query_embedding(self, query):
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text):
            return vectors.of([text], "passage")[0]

        def _get_text_embeddings(self, texts):
            return vectors.of(texts, "passage")

    documents = [Document(text=text, doc_id=name) for name, text in texts.items()]
    index = VectorStoreIndex.from_documents(documents, embed_model=Embedding(embed_batch_size=BATCH))
    retriever = index.as_retriever(similarity_top_k=depth)
    vectors.of(queries, "query")
    # LlamaIndex embeds no empty question and then compares with nothing.
    found = (retriever.retrieve(query) if query.strip() else [] for query in queries)
    return [[hit.node.ref_doc_id for hit in hits] for hits in found]


def lang_chain(texts: dict[str, str], queries: list[str], vectors: Vectors, depth: int) -> list[list[str]]:
    """Rankings of LangChain: its recommended splitter with its defaults, and its in-memory store."""
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    class Embedding(Embeddings):
        def embed_documents(self, texts):
            return vectors.of(texts, "passage")

        def embed_query(self, text):
            return vectors.of([text], "query")[0]

    documents = [Document(page_content=text, metadata={"name": name}) for name, text in texts.items()]
    store = InMemoryVectorStore(Embedding())
    store.add_documents(RecursiveCharacterTextSplitter().split_documents(documents))
    vectors.of(queries, "query")
    return [[hit.metadata["name"] for hit in store.similarity_search(query, k=depth)] for query in queries]
