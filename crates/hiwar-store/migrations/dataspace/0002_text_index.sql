-- How the texts in `dataset_text` are cut into words; without a row the index is made anew when the file is
-- opened for writing. 1: characters of Chinese, Japanese and Korean one by one, Arabic without its article.
CREATE TABLE text_index (
    cut INTEGER NOT NULL
) STRICT;
