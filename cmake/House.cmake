# What holds for every target of the house: language, warnings, hardening, and who may include whom.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# A room is visible only through the include root of the targets that may see it: build/include/<room>
# is a link to the room, so "base/err.h" compiles everywhere and "wallet/ledger.h" in no other service.
set(HOUSE_INCLUDE ${CMAKE_BINARY_DIR}/include)
foreach(room base proto)
  file(MAKE_DIRECTORY ${HOUSE_INCLUDE}/${room})
  file(REMOVE_RECURSE ${HOUSE_INCLUDE}/${room})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${room} ${HOUSE_INCLUDE}/${room} SYMBOLIC)
endforeach()

add_library(house INTERFACE)
target_include_directories(house INTERFACE ${HOUSE_INCLUDE})
target_compile_definitions(house INTERFACE _GNU_SOURCE)
target_compile_options(house INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wvla -Wformat=2 -fno-common -fno-strict-aliasing
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  $<$<BOOL:${TRADEPOST_WERROR}>:-Werror>)
target_link_libraries(house INTERFACE Threads::Threads)

# house_find_library(target library header): an imported target for a library without a usable CMake package.
function(house_find_library target library header)
  find_library(${target}_LIBRARY ${library} REQUIRED)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  add_library(${target}::${target} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${target}::${target} PROPERTIES
    IMPORTED_LOCATION ${${target}_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${${target}_INCLUDE})
endfunction()

# house_library(name SOURCES ... [USES public libraries ...] [PRIVATE private libraries ...])
function(house_library name)
  cmake_parse_arguments(L "" "" "SOURCES;USES;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${L_SOURCES})
  target_link_libraries(${name} PUBLIC house ${L_USES} PRIVATE ${L_PRIVATE})
endfunction()

# house_test(name SOURCES ... USES libraries ... [TIMEOUT seconds] [LABELS ...])
# A cmocka program; it runs in the source tree's tests/ folder, so data is at "data/...". ThreadSanitizer sees
# the locks of Debian's libraries but not their atomics, so what they read and write among themselves is left out.
function(house_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;USES;LABELS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_USES} PkgConfig::CMOCKA)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}"
    ENVIRONMENT TSAN_OPTIONS=ignore_noninstrumented_modules=1)
endfunction()

# house_fuzz(name SOURCES ... USES libraries ... [SECONDS seconds])
# A libFuzzer program around LLVMFuzzerTestOneInput (declared in "support/fuzz.h"); only tests/fuzz/
# calls it, which only the fuzz preset builds. As a test it runs for a few seconds from the seeds in
# corpus/<name>/ beside it and the words in corpus/<name>.dict, if there are any; what it finds stays
# in the build folder. Longer: <name> -max_total_time=3600.
function(house_fuzz name)
  cmake_parse_arguments(F "" "SECONDS" "SOURCES;USES" ${ARGN})
  if(NOT F_SECONDS)
    set(F_SECONDS 10)
  endif()
  add_executable(${name} ${F_SOURCES})
  target_link_libraries(${name} PRIVATE ${F_USES})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  set(found ${CMAKE_CURRENT_BINARY_DIR}/${name}.found)
  file(MAKE_DIRECTORY ${found})
  set(seeds ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(NOT EXISTS ${seeds})
    set(seeds "")
  endif()
  if(EXISTS ${seeds}.dict)
    list(PREPEND seeds -dict=${seeds}.dict)
  endif()
  add_test(NAME ${name} COMMAND ${name} -max_total_time=${F_SECONDS} -timeout=5 -rss_limit_mb=1024
    -artifact_prefix=${found}. ${found} ${seeds} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests)
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()
